"""Random ONNX graphs of every operator that is read, against ONNX's reference evaluator in double precision.

    python xtask/peer/onnx_random_graphs.py [--graphs 1000] [--seed 0] [--list]

The batch is symbolic, 1 or 3. Prints how many graphs were read and right, refused, and wrong; every wrong one with the
name of its folder's model. Needs numpy and onnx; says so, and tests nothing, where they are missing.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as error:
    print(f"skipped: 0 random graphs, {error.name} is not installed")
    sys.exit(0)


class Graph:
    """A graph that grows node by node; every value has a shape with a batch of 1."""

    def __init__(self, rng):
        self.rng, self.nodes, self.constants = rng, [], []
        self.shapes = {}

    def constant(self, values):
        values = np.asarray(values)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def floats(self, *shape):
        return self.constant(self.rng.normal(size=shape))

    def node(self, kind, inputs, shape, count=1, **attributes):
        outputs = [f"v{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        for output in outputs:
            self.shapes[output] = tuple(shape)
        return outputs[0]


def windows(g, shape, dilated=True):
    rng, sizes = g.rng, shape[2:]
    kernel = [int(rng.integers(1, min(n, 3) + 1)) for n in sizes]
    stride = [int(rng.integers(1, 3)) for _ in sizes]
    pads = [int(rng.integers(0, k)) for k in kernel] + [int(rng.integers(0, k)) for k in kernel]
    return kernel, stride, pads


def pooled(sizes, kernel, stride, pads):
    r = len(sizes)
    return [(n + pads[i] + pads[i + r] - kernel[i]) // stride[i] + 1 for i, n in enumerate(sizes)]


def step(g, x):
    """One random operator after the value x; its name, or None where it does not fit."""
    rng, shape = g.rng, g.shapes[x]
    rank, own = len(shape), shape[1:]
    if rank < 2:
        return None
    axis = int(rng.integers(1, rank))
    n = shape[axis]
    kind = rng.choice(
        "relu leaky clip abs prelu hardsigmoid shrink add sub mul div addself max maxconst min sum mean where wherec "
        "conv convt maxpool avgpool gap gmp pad reflect edge wrap slice steps split gather tile expand d2s s2d resize "
        "linear reduce reducemax matmul left gemm einsum transpose roundtrip flatten reshape squeeze cumsum dynshape "
        "bn concat masked crop fold".split()
    )
    sizes = int(np.prod(own))
    if kind == "relu":
        return g.node("Relu", [x], shape)
    if kind == "leaky":
        return g.node("LeakyRelu", [x], shape, alpha=0.3)
    if kind == "abs":
        return g.node("Abs", [x], shape)
    if kind == "clip":
        return g.node("Clip", [x, g.constant(-0.5), g.constant(0.75)], shape)
    if kind == "prelu":
        return g.node("PRelu", [x, g.floats(*(m if rng.random() < 0.5 else 1 for m in own))], shape)
    if kind == "hardsigmoid":
        return g.node("HardSigmoid", [x], shape)
    if kind == "shrink":
        return g.node("Shrink", [x], shape, lambd=0.25, bias=0.25)
    if kind in ("add", "sub", "mul", "div"):
        c = g.floats(*(m if rng.random() < 0.5 else 1 for m in own))
        pair = [x, c] if rng.random() < 0.7 or kind == "div" else [c, x]
        return g.node(kind.capitalize(), pair, shape)
    if kind == "addself":
        return g.node("Add", [x, g.node("Relu", [x], shape)], shape)
    if kind in ("max", "min", "sum", "mean"):
        other = g.node("Mul", [x, g.floats(*own)], shape)
        more = [g.floats(*own)] if rng.random() < 0.5 else []
        return g.node(kind.capitalize(), [x, other] + more, shape)
    if kind == "maxconst":
        return g.node("Max", [x, g.floats(*own)], shape)
    if kind == "where":
        other = g.node("Mul", [x, g.floats(*own)], shape)
        return g.node("Where", [g.node("Greater", [x, other], shape), x, other], shape)
    if kind == "wherec":
        c = g.floats(*own)
        return g.node("Where", [g.node("Less", [x, c], shape), c, x], shape)
    if kind == "masked":
        return g.node("Where", [g.constant(rng.random(own) < 0.5), x, g.floats(*own)], shape)
    if kind in ("conv", "convt", "maxpool", "avgpool", "gap", "gmp") and rank in (3, 4, 5):
        kernel, stride, pads = windows(g, shape)
        if kind == "gap":
            return g.node("GlobalAveragePool", [x], shape[:2] + (1,) * (rank - 2))
        if kind == "gmp":
            if rank != 4:  # The reference evaluator knows images alone.
                return None
            return g.node("GlobalMaxPool", [x], shape[:2] + (1,) * (rank - 2))
        if kind == "conv":
            groups = shape[1] if rng.random() < 0.3 else 1
            outputs = groups * int(rng.integers(1, 3))
            w = g.floats(outputs, shape[1] // groups, *kernel)
            out = shape[:1] + (outputs,) + tuple(pooled(shape[2:], kernel, stride, pads))
            return g.node("Conv", [x, w, g.floats(outputs)], out, strides=stride, pads=pads, group=groups)
        if kind == "convt":
            outputs = int(rng.integers(1, 3))
            w = g.floats(shape[1], outputs, *kernel)
            out = [s * (m - 1) + k for m, k, s in zip(shape[2:], kernel, stride)]
            return g.node("ConvTranspose", [x, w, g.floats(outputs)], shape[:1] + (outputs,) + tuple(out), strides=stride)
        # The reference evaluator's pools know one number of pads for all sides.
        pads = [min(pads)] * (2 * rank - 4)
        out = shape[:2] + tuple(pooled(shape[2:], kernel, stride, pads))
        if kind == "maxpool":
            return g.node("MaxPool", [x], out, kernel_shape=kernel, strides=stride, pads=pads)
        inside = int(rng.integers(0, 2))
        return g.node("AveragePool", [x], out, kernel_shape=kernel, strides=stride, pads=pads, count_include_pad=inside)
    if kind in ("pad", "reflect", "edge", "wrap"):
        before, after = ([0] + [int(rng.integers(0, min(m, 2))) for m in own] for _ in range(2))
        out = [m + b + a for m, b, a in zip(shape, before, after)]
        mode = "constant" if kind == "pad" else kind
        value = [g.constant(0.5)] if kind == "pad" else []
        return g.node("Pad", [x, g.constant(np.array(before + after))] + value, out, mode=mode)
    if kind in ("slice", "steps"):
        start, end = sorted(rng.integers(0, n + 1, size=2))
        k = 1 if kind == "slice" else 2
        if start == end:
            return None
        out = list(shape)
        out[axis] = len(range(start, end, k))
        lists = [g.constant(np.array([v])) for v in (start, end, axis, k)]
        return g.node("Slice", [x] + lists, out)
    if kind == "crop":
        axes = sorted({int(a) for a in rng.integers(1, rank, size=2)})
        wanted = [int(rng.integers(1, shape[a] + 3)) for a in axes]
        out = [wanted[axes.index(i)] if i in axes else m for i, m in enumerate(shape)]
        return g.node("CenterCropPad", [x, g.constant(np.array(wanted))], out, axes=axes)
    if kind == "fold" and rank == 3 and shape[1] % 2 == 0:
        columns = shape[2]
        pad, stride = int(rng.integers(0, 2)), int(rng.integers(1, 3))
        image = (columns - 1) * stride + 2 - 2 * pad
        if image < 1:
            return None
        lists = [g.constant(np.array([1, image])), g.constant(np.array([1, 2]))]
        out = (shape[0], shape[1] // 2, 1, image)
        return g.node("Col2Im", [x] + lists, out, strides=[1, stride], pads=[0, pad, 0, pad])
    if kind == "split" and n > 1:
        parts = [1, n - 1]
        out = list(shape)
        out[axis] = 1
        first = g.node("Split", [x, g.constant(np.array(parts))], out, count=2, axis=axis)
        second = first[:-1] + "1"
        out[axis] = n - 1
        g.shapes[second] = tuple(out)
        return second
    if kind == "gather":
        indices = rng.integers(-n, n, size=int(rng.integers(1, 4)))
        out = list(shape)
        out[axis] = len(indices)
        return g.node("Gather", [x, g.constant(indices)], out, axis=axis)
    if kind == "tile":
        times = [1] + [int(rng.integers(1, 3)) for _ in own]
        return g.node("Tile", [x, g.constant(np.array(times))], [a * b for a, b in zip(shape, times)])
    if kind == "expand" and 1 in own:
        out = [1] + [3 if m == 1 and rng.random() < 0.5 else m for m in own]
        return g.node("Expand", [x, g.constant(np.array(out))], out)
    if kind == "d2s" and rank == 4 and shape[1] % 4 == 0:
        mode = str(rng.choice(["DCR", "CRD"]))
        out = (shape[0], shape[1] // 4, shape[2] * 2, shape[3] * 2)
        return g.node("DepthToSpace", [x], out, blocksize=2, mode=mode)
    if kind == "s2d" and rank == 4 and shape[2] % 2 == 0 and shape[3] % 2 == 0:
        return g.node("SpaceToDepth", [x], (shape[0], shape[1] * 4, shape[2] // 2, shape[3] // 2), blocksize=2)
    if kind in ("resize", "linear") and rank >= 3:
        out = list(shape[:2]) + [int(rng.integers(1, 2 * m + 1)) for m in shape[2:]]
        place = str(rng.choice(["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"]))
        mode = "nearest" if kind == "resize" else str(rng.choice(["linear", "cubic"]))
        if mode == "cubic" and rank != 4:
            mode = "linear"
        if place == "pytorch_half_pixel" and mode != "linear":
            place = "asymmetric"
        if mode == "nearest":  # Whole factors, so that rounding does not decide which entry is nearest.
            out = list(shape[:2]) + [m * int(rng.integers(1, 3)) for m in shape[2:]]
        near = str(rng.choice(["floor", "ceil"]))
        inputs, axes = [x, "", "", g.constant(np.array(out[2:]))], list(range(2, rank))
        return g.node("Resize", inputs, out, axes=axes, mode=mode, coordinate_transformation_mode=place, nearest_mode=near)
    if kind in ("reduce", "reducemax"):
        axes = sorted({int(a) for a in rng.integers(1, rank, size=2)})
        keep = int(rng.integers(0, 2))
        out = [1 if i in axes else m for i, m in enumerate(shape) if keep or i not in axes]
        name = str(rng.choice(["ReduceSum", "ReduceMean"] if kind == "reduce" else ["ReduceMax", "ReduceMin"]))
        return g.node(name, [x, g.constant(np.array(axes))], out, keepdims=keep)
    if kind == "matmul":
        outputs = int(rng.integers(1, 4))
        return g.node("MatMul", [x, g.floats(shape[-1], outputs)], shape[:-1] + (outputs,))
    if kind == "left" and rank >= 3:
        outputs = int(rng.integers(1, 4))
        return g.node("MatMul", [g.floats(outputs, shape[-2]), x], shape[:-2] + (outputs, shape[-1]))
    if kind == "gemm" and rank == 2:
        outputs = int(rng.integers(1, 4))
        turned = int(rng.integers(0, 2))
        w = g.floats(outputs, n) if turned else g.floats(n, outputs)
        return g.node("Gemm", [x, w, g.floats(outputs)], (1, outputs), transB=turned, alpha=0.5, beta=2.0)
    if kind == "einsum" and rank == 3:
        outputs = int(rng.integers(1, 4))
        c = g.floats(shape[1], shape[2], outputs)
        equation, out = [("bij,ijk->bk", (1, outputs)), ("bij,ijk->bkj", (1, outputs, shape[2]))][int(rng.integers(0, 2))]
        return g.node("Einsum", [x, c], out, equation=equation)
    if kind == "transpose":
        order = [0] + [1 + int(i) for i in rng.permutation(rank - 1)]
        return g.node("Transpose", [x], [shape[i] for i in order], perm=order)
    if kind == "roundtrip":
        order = [int(i) for i in rng.permutation(rank)]
        back = [order.index(i) for i in range(rank)]
        moved = g.node("Transpose", [x], [shape[i] for i in order], perm=order)
        moved = g.node("Relu", [moved], g.shapes[moved])
        return g.node("Transpose", [moved], shape, perm=back)
    if kind == "flatten":
        return g.node("Flatten", [x], (1, sizes))
    if kind == "reshape":
        out = (0, -1) if rank != 2 else (-1, 1, sizes)
        return g.node("Reshape", [x, g.constant(np.array(out))], (1, sizes) if rank != 2 else (1, 1, sizes))
    if kind == "dynshape":
        first = g.node("Gather", [g.node("Shape", [x], (rank,)), g.constant(np.array([0]))], (1,))
        wanted = g.node("Concat", [first, g.constant(np.array([-1]))], (2,), axis=0)
        return g.node("Reshape", [x, wanted], (1, sizes))
    if kind == "squeeze" and n == 1 and rank > 2:
        return g.node("Squeeze", [x, g.constant(np.array([axis]))], shape[:axis] + shape[axis + 1 :])
    if kind == "cumsum":
        return g.node("CumSum", [x, g.constant(axis)], shape, exclusive=int(rng.integers(0, 2)), reverse=int(rng.integers(0, 2)))
    if kind == "bn" and rank > 2:
        v = g.constant(rng.uniform(0.5, 2, size=shape[1]))
        lists = [g.floats(shape[1]) for _ in range(3)]
        return g.node("BatchNormalization", [x] + lists + [v], shape)
    if kind == "concat":
        other = g.node("Relu", [x], shape)
        out = list(shape)
        out[axis] *= 2
        return g.node("Concat", [x, other], out, axis=axis)
    return None


def graph(rng):
    """A model, its input of a batch, and its output."""
    g = Graph(rng)
    shapes = [(4,), (6,), (3, 4), (2, 5), (2, 4, 4), (4, 3, 5), (1, 6, 4), (2, 3, 3, 3)]
    own = shapes[int(rng.integers(0, len(shapes)))]
    g.shapes["x"] = (1,) + own
    last = "x"
    for _ in range(int(rng.integers(2, 9))):
        made = step(g, last)
        if made is not None and np.prod(g.shapes[made]) <= 600:
            last = made
    if last == "x":
        last = g.node("Neg", [last], g.shapes[last])
    batch = [None, 1, 3][int(rng.integers(0, 3))]
    n = 3 if batch == 3 else int(rng.integers(1, 3)) if batch is None else 1
    x = rng.normal(size=(n,) + own)
    first = "N" if batch is None else batch
    made = helper.make_graph(
        g.nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, (first,) + own)],
        [helper.make_tensor_value_info(last, TensorProto.DOUBLE, None)],
        g.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    runs = [x] if batch else [x[i : i + 1] for i in range(n)]
    y = np.concatenate([ReferenceEvaluator(model).run(None, {"x": run})[0] for run in runs])
    return model, x, y, [node.op_type for node in g.nodes]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print every graph that is not read, and keep the folder")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()
    kinds, skipped = collections.Counter(), 0
    for number in range(arguments.graphs):
        try:
            model, x, y, used = graph(np.random.default_rng([arguments.seed, number]))
        except Exception:  # What the reference evaluator cannot do.
            skipped += 1
            continue
        kinds.update(set(used))
        place = pathlib.Path(folder) / f"{number:06}"
        place.mkdir()
        onnx.save(model, place / "model.onnx")
        np.save(place / "x.npy", np.ascontiguousarray(x))
        np.save(place / "y.npy", np.ascontiguousarray(y))
        # The reference evaluator resizes by weights in single precision.
        (place / "tolerance").write_text("1e-4" if "Resize" in used else "1e-6")
    command = ["cargo", "run", "--quiet", "--package", "loclin-models", "--example", "onnx_cases", "--", folder]
    program = os.environ.get("ONNX_CASES")
    done = subprocess.run([program, folder] if program else command, check=True, capture_output=True, text=True)
    verdicts = collections.Counter()
    for line in done.stdout.splitlines():
        name, verdict, why = line.split("\t", 2)
        verdicts[verdict] += 1
        if verdict == "wrong" or (arguments.list and verdict != "right"):
            print(f"{verdict}\t{folder}/{name}\t{why}")
    print(dict(verdicts), f"skipped {skipped}, {len(kinds)} operators")
    return 1 if verdicts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
