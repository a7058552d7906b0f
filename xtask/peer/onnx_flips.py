"""Do evaluations in float32 take the sides that radii promise?

For inputs of a fully connected ReLU network (ONNX: Flatten, Gemm, MatMul, Add, Relu) the program's l2 and l_inf radii are
computed twice, proved and deployed(f32). ONNX Runtime then evaluates the network in float32 at points inside each
ball, most of them pushed towards the boundary that limits it, and every neuron's side is compared with the exact one at
the input (float64).

    python xtask/peer/onnx_flips.py --loclin target/release/loclin --model NET.onnx --data X.npy [--points 100000]

Needs numpy, onnx and onnxruntime; says so, and tests nothing, where they are missing.
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper
except ImportError as error:
    print(f"skipped: 0 points, {error.name} is not installed")
    sys.exit(0)


def chain(model):
    """[(matrix [out, in], offset [out], name of the value in front of its Relu or None)] in float64."""
    graph = model.graph
    constants = {i.name: numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t).astype(np.float64)
    layers, at = [], graph.input[0].name
    named = [i.name for i in graph.input if i.name not in constants]
    at = named[0]
    for node in graph.node:
        if at not in node.input:
            continue
        others = [constants[name] for name in node.input if name != at and name in constants]
        if node.op_type == "Gemm":
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            assert attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
            matrix = others[0] if attributes.get("transB") else others[0].T
            layers.append([matrix, others[1].ravel() if len(others) > 1 else np.zeros(len(matrix)), None])
        elif node.op_type == "MatMul":
            matrix = others[0].T if node.input[0] == at else others[0]
            layers.append([matrix, np.zeros(len(matrix)), None])
        elif node.op_type in ("Add", "Sub") and layers:
            sign = 1 if node.op_type == "Add" else -1
            layers[-1][1] = layers[-1][1] + sign * others[0].ravel()
        elif node.op_type == "Relu":
            layers[-1][2] = at
        elif node.op_type not in ("Flatten", "Reshape", "Identity"):
            raise SystemExit(f"not a fully connected ReLU network: {node.op_type}")
        at = node.output[0]
    return [tuple(layer) for layer in layers if layer[2] is not None]


def values(layers, x):
    """Pre-activations of one input in float64, and of each neuron the gradient."""
    jacobian, a, found = np.eye(len(x)), x, []
    for matrix, offset, _ in layers:
        z, jacobian = matrix @ a + offset, matrix @ jacobian
        found.append((z, jacobian))
        a = np.maximum(z, 0.0)
        jacobian = jacobian * (z > 0.0)[:, None]
    return found


def radii(arguments, *more):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "radii.csv"
        command = [arguments.loclin, "certify", "--model", arguments.model, "--data", arguments.data]
        command += ["--limit", str(arguments.inputs), "--domain", "none", "--out", str(out), *more]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(out, newline="") as file:
            return list(csv.DictReader(file))


def points(rng, x, radius, towards, norm, count):
    """Float32 points of the ball: three quarters of them towards a boundary, near the border."""
    made = []
    for k in range(count):
        if k % 4 == 3:
            direction = rng.standard_normal(len(x))
        elif norm == "2":
            direction = towards + (k % 4) * 1e-4 * np.linalg.norm(towards) * rng.standard_normal(len(x)) / len(x) ** 0.5
        else:
            direction = np.sign(towards)
        length = np.linalg.norm(direction) if norm == "2" else np.abs(direction).max()
        share = 1.0 - 10.0 ** rng.uniform(-7, -3)
        for share in (1.0, share, 1.0 - 1e-5, 1.0 - 1e-4, 1.0 - 1e-3):
            point = (x + share * radius / length * direction).astype(np.float32)
            moved = point.astype(np.float64) - x
            size = np.linalg.norm(moved) if norm == "2" else np.abs(moved).max()
            if size <= radius * (1.0 - 1e-12):
                made.append(point)
                break
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loclin", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = onnx.load(arguments.model)
    layers = chain(model)
    for _, _, name in layers:
        if all(output.name != name for output in model.graph.output):
            model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = [size if isinstance(size, int) and size > 0 else 1 for size in given.shape]
    inputs = np.load(arguments.data)[: arguments.inputs].astype(np.float64)
    inputs = inputs.reshape(len(inputs), -1)
    names = [name for _, _, name in layers]
    print(f"{arguments.model}: {len(inputs)} inputs, ONNX Runtime {onnxruntime.__version__}")
    print("norm  claim          points   with a flip   median radius   radii of 0")
    flips_of_deployed = 0
    for norm in ("2", "inf"):
        for claim, more in (("proved", []), ("deployed(f32)", ["--deployed", "f32"])):
            rows = radii(arguments, "--norm", norm, *more)
            rng = np.random.default_rng(arguments.seed)
            found = [float(row[f"eps_{norm}"]) for row in rows]
            count = arguments.points // max(1, sum(radius > 0 for radius in found)) // 2 + 1
            flips = looked = 0
            for x, radius, row in zip(inputs, found, rows):
                assert row["guarantee"] == claim, row["guarantee"]
                if radius == 0.0:
                    continue
                exact = values(layers, x)
                distances = [
                    np.abs(z) / np.maximum(np.linalg.norm(g, axis=1) if norm == "2" else np.abs(g).sum(axis=1), 1e-300)
                    for z, g in exact
                ]
                layer = int(np.argmin([d.min() for d in distances]))
                unit = int(distances[layer].argmin())
                z, gradient = exact[layer][0][unit], exact[layer][1][unit]
                batch = points(rng, x, radius, -np.sign(z) * gradient, norm, count)
                signs = np.concatenate([z > 0 for z, _ in exact])
                for start in range(0, len(batch), shape[0] if shape[0] > 1 else 512):
                    part = batch[start : start + 512]
                    fixed = isinstance(given.shape[0], int)
                    evaluated = (
                        [session.run(names, {given.name: p.reshape(shape)}) for p in part]
                        if fixed
                        else [session.run(names, {given.name: np.stack(part).reshape([len(part)] + shape[1:])})]
                    )
                    of = [np.concatenate([np.asarray(v).reshape(1 if fixed else len(part), -1) for v in e], axis=1) for e in evaluated]
                    sides = np.concatenate(of) > 0
                    flips += int((sides != signs).any(axis=1).sum())
                    looked += len(sides)
            zeros = sum(radius == 0 for radius in found)
            print(f"{norm:4}  {claim:13} {looked:7}   {flips:11}   {np.median(found):.6e}   {zeros:9}")
            flips_of_deployed += flips if more else 0
    return 1 if flips_of_deployed else 0


if __name__ == "__main__":
    sys.exit(main())
