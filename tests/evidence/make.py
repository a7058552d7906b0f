"""Writes small networks, inputs and their true margins: the files beside this program.

    python make.py            (needs numpy and onnx)

Margins are found by a program of its own: every array goes through the network with its Jacobian with respect to the
input, in float64, by plain loops over windows. A neuron is a value with a gradient; a margin is the smallest
|z| / ||gradient||_q over all of them. It shares no code with the library, and none with a deep learning framework.
"""

import json
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent


class Flow:
    """A value with its Jacobian `[D, shape of the value]`; all of one network share a list of neurons."""

    def __init__(self, value, jacobian, neurons):
        self.value, self.jacobian, self.neurons = value, jacobian, neurons

    @classmethod
    def input(cls, x):
        x = x.astype(np.float64)
        return cls(x, np.eye(x.size).reshape(x.size, *x.shape), [])

    def map(self, value, jacobian):
        return Flow(value, jacobian, self.neurons)

    def linear(self, f):
        """`f` acts on an array with any leading dimension."""
        return self.map(f(self.value[None])[0], f(self.jacobian))

    def __add__(self, other):
        if isinstance(other, Flow):
            return self.map(self.value + other.value, self.jacobian + other.jacobian)
        return self.map(self.value + other, self.jacobian)

    def times(self, factor):
        return self.map(self.value * factor, self.jacobian * factor)

    def flat(self):
        return self.map(self.value.reshape(-1), self.jacobian.reshape(len(self.jacobian), -1))

    def gemm(self, weight, bias):
        weight = weight.astype(np.float64)
        return self.linear(lambda a: a @ weight.T) + bias.astype(np.float64)

    def conv(self, weight, bias, pad=0):
        weight = weight.astype(np.float64)
        outputs, _, height, width = weight.shape

        def f(a):
            a = np.pad(a, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
            rows, columns = a.shape[2] - height + 1, a.shape[3] - width + 1
            result = np.zeros((len(a), outputs, rows, columns))
            for i in range(rows):
                for j in range(columns):
                    patch = a[:, :, i : i + height, j : j + width]
                    result[:, :, i, j] = np.einsum("bchw,ochw->bo", patch, weight)
            return result

        return self.linear(f) + bias.astype(np.float64)[:, None, None]

    def norm(self, weight, bias, mean, var, eps):
        weight, bias, mean, var = (v.astype(np.float64)[:, None, None] for v in (weight, bias, mean, var))
        scale = weight / np.sqrt(var + eps)
        return self.times(scale) + (bias - mean * scale)

    def mean_pool(self, size):
        def f(a):
            b, c, h, w = a.shape
            return a.reshape(b, c, h // size, size, w // size, size).mean((3, 5))

        return self.linear(f)

    def pieces(self, breakpoints, slopes, anchor):
        """A piecewise-linear function of each number; `slopes` are numbers or arrays that broadcast."""
        for t in breakpoints:
            shifted = (self + (-t)).flat()
            self.neurons.extend(zip(shifted.value, shifted.jacobian.T))
        slope = np.broadcast_to(np.asarray(slopes[0], np.float64), self.value.shape).copy()
        value = anchor + slope * (self.value - breakpoints[0])
        for i, t in enumerate(breakpoints):
            step = np.asarray(slopes[i + 1], np.float64) - np.asarray(slopes[i], np.float64)
            right = self.value >= t
            slope = slope + step * right
            value = value + step * right * (self.value - t)
        return self.map(value, self.jacobian * slope)

    def relu(self, slope=0.0):
        return self.pieces([0.0], [slope, 1.0], 0.0)

    def largest(self, groups, shape):
        """The largest of each list of positions; the differences to the others are neurons."""
        flat = self.flat()
        chosen = []
        for group in groups:
            best = max(group, key=lambda i: flat.value[i])
            chosen.append(best)
            for i in group:
                if i != best:
                    difference = flat.jacobian[:, best] - flat.jacobian[:, i]
                    self.neurons.append((flat.value[best] - flat.value[i], difference))
        value, jacobian = flat.value[chosen], flat.jacobian[:, chosen]
        return self.map(value.reshape(shape), jacobian.reshape(len(jacobian), *shape))

    def max_pool(self, size):
        c, h, w = self.value.shape
        position = np.arange(c * h * w).reshape(c, h, w)
        shape = (c, h // size, w // size)
        corners = [(k, i * size, j * size) for k, i, j in np.ndindex(shape)]
        return self.largest([position[k, i : i + size, j : j + size].ravel() for k, i, j in corners], shape)


def margins(output):
    """Prediction, the margins in l1, l2 and l_inf, and how many neurons there are."""
    values = np.array([abs(z) for z, _ in output.neurons])
    gradients = np.abs(np.array([g for _, g in output.neurons]))
    duals = gradients.max(1), np.sqrt((gradients**2).sum(1)), gradients.sum(1)
    found = [(values[d > 0] / d[d > 0]).min() for d in duals]
    return int(output.value.argmax()), *found, len(values)


def numbers(seed):
    rng = np.random.default_rng(seed)
    return lambda *shape, scale=1.0: (scale * rng.standard_normal(shape)).astype(np.float32)


def layer(draw, *shape):
    return draw(*shape, scale=(2.0 / np.prod(shape[1:])) ** 0.5), draw(shape[0], scale=0.3)


def save_onnx(name, input_shape, nodes, constants):
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(kind, reads, [writes], **options) for kind, reads, writes, options in nodes],
        name,
        [tensor("x", TensorProto.FLOAT, ["batch", *input_shape])],
        [tensor("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def fully_connected():
    draw = numbers(1)
    layers = [layer(draw, 16, 6), layer(draw, 16, 16), layer(draw, 3, 16)]
    nodes, constants, reads = [], {}, "x"
    for i, (w, b) in enumerate(layers):
        constants |= {f"w{i}": w, f"b{i}": b}
        writes = "y" if i == 2 else f"z{i}"
        nodes.append(("Gemm", [reads, f"w{i}", f"b{i}"], writes, {"transB": 1}))
        if i < 2:
            nodes.append(("LeakyRelu", [writes], f"a{i}", {"alpha": 0.125}))
            reads = f"a{i}"
    save_onnx("leaky", [6], nodes, constants)

    def run(x):
        flow = Flow.input(x)
        for w, b in layers[:-1]:
            flow = flow.gemm(w, b).relu(0.125)
        return flow.gemm(*layers[-1])

    return "leaky.onnx", draw(6, 6), run


def residual():
    draw = numbers(2)
    (w0, b0), (w1, b1), (w2, b2) = layer(draw, 4, 2, 3, 3), layer(draw, 4, 4, 3, 3), layer(draw, 3, 36)
    norm = 1.0 + draw(4, scale=0.2), draw(4, scale=0.2), draw(4, scale=0.2), 1.0 + np.abs(draw(4))
    constants = dict(w0=w0, b0=b0, w1=w1, b1=b1, w2=w2, b2=b2, s=norm[0], t=norm[1], m=norm[2], v=norm[3])
    nodes = [
        ("Conv", ["x", "w0", "b0"], "c0", {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", ["c0", "s", "t", "m", "v"], "n0", {"epsilon": 1e-3}),
        ("Relu", ["n0"], "a0", {}),
        ("Conv", ["a0", "w1", "b1"], "c1", {"pads": [1, 1, 1, 1]}),
        ("Add", ["c1", "a0"], "r", {}),
        ("Relu", ["r"], "a1", {}),
        ("AveragePool", ["a1"], "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", ["p"], "f", {}),
        ("Gemm", ["f", "w2", "b2"], "y", {"transB": 1}),
    ]
    save_onnx("residual", [2, 6, 6], nodes, constants)

    def run(x):
        # An attribute of an ONNX node is a float32.
        a = Flow.input(x).conv(w0, b0, 1).norm(*norm, float(np.float32(1e-3))).relu()
        return (a.conv(w1, b1, 1) + a).relu().mean_pool(2).flat().gemm(w2, b2)

    return "residual.onnx", draw(4, 2, 6, 6), run


def max_pool():
    draw = numbers(3)
    (w0, b0), (w1, b1), (w2, b2) = layer(draw, 3, 1, 3, 3), layer(draw, 4, 3, 2, 2), layer(draw, 3, 16)
    nodes = [
        ("Conv", ["x", "w0", "b0"], "c0", {}),
        ("MaxPool", ["c0"], "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Relu", ["p"], "a0", {}),
        ("Conv", ["a0", "w1", "b1"], "c1", {}),
        ("Relu", ["c1"], "a1", {}),
        ("Flatten", ["a1"], "f", {}),
        ("Gemm", ["f", "w2", "b2"], "y", {"transB": 1}),
    ]
    save_onnx("max-pool", [1, 8, 8], nodes, dict(w0=w0, b0=b0, w1=w1, b1=b1, w2=w2, b2=b2))

    def run(x):
        a = Flow.input(x).conv(w0, b0).max_pool(2).relu()
        return a.conv(w1, b1).relu().flat().gemm(w2, b2)

    # The second convolution leaves 2 x 2 of 4 channels.
    return "max-pool.onnx", draw(4, 1, 8, 8), run


def state_dict():
    """A state dict as `torch.save` writes it, without torch: names stand for the two functions it would call."""
    draw = numbers(4)
    layers = [layer(draw, 12, 5), layer(draw, 10, 12), layer(draw, 3, 10)]
    tensors = OrderedDict()
    for i, (w, b) in enumerate(layers):
        tensors |= {f"layers.{i}.weight": w, f"layers.{i}.bias": b}

    def named(module, name):
        where = sys.modules.setdefault(module, types.ModuleType(module))
        made = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(where, name, made)
        return made

    named("torch", "Tensor")
    storage, rebuild = named("torch", "FloatStorage"), named("torch._utils", "_rebuild_tensor_v2")

    class Storage:
        def __init__(self, key, array):
            self.key, self.array = key, array

    class Tensor:
        def __init__(self, key, array):
            self.storage, self.array = Storage(key, array), array

        def __reduce__(self):
            strides = tuple(s // 4 for s in self.array.strides)
            return rebuild, (self.storage, 0, self.array.shape, strides, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                return "storage", storage, obj.key, "cpu", obj.array.size
            return None

    with zipfile.ZipFile(HERE / "state-dict.pth", "w", zipfile.ZIP_STORED) as archive:
        def write(name, content):
            archive.writestr(zipfile.ZipInfo(f"state-dict/{name}", (1980, 1, 1, 0, 0, 0)), content)

        with (HERE / "data.pkl").open("w+b") as file:
            wrapped = OrderedDict((k, Tensor(str(i), v)) for i, (k, v) in enumerate(tensors.items()))
            Pickler(file, 2).dump(wrapped)
            file.seek(0)
            write("data.pkl", file.read())
        (HERE / "data.pkl").unlink()
        for i, v in enumerate(tensors.values()):
            write(f"data/{i}", v.tobytes())
        write("version", "3\n")

    def run(x):
        flow = Flow.input(x)
        for w, b in layers[:-1]:
            flow = flow.gemm(w, b).relu()
        return flow.gemm(*layers[-1])

    return "state-dict.pth", draw(6, 5), run


def own_format():
    """A model file of the format's first version, with the metadata key of that time."""
    draw = numbers(5)
    (w0, b0), (w1, b1), (w2, b2) = layer(draw, 8, 4), layer(draw, 6, 4), layer(draw, 3, 7)
    slopes, steps = np.array([0.25], np.float32), ([-0.5, 0.0, 0.75], [0.5, -1.0, 0.25, 2.0], 0.125)
    nodes = [
        ("first", dict(kind="linear", inputs=4, outputs=8, bias=True), ["input"]),
        ("maxout", dict(kind="maxout", pieces=2), ["first"]),
        ("left", dict(kind="slice", axis=0, start=1, length=2), ["maxout"]),
        ("second", dict(kind="linear", inputs=4, outputs=6, bias=True), ["maxout"]),
        ("steps", dict(kind="activation", breakpoints=steps[0], slopes=steps[1], anchor=steps[2]), ["second"]),
        ("right", dict(kind="slice", axis=0, start=0, length=5), ["steps"]),
        ("both", dict(kind="concat", axis=0), ["left", "right"]),
        ("prelu", dict(kind="prelu", channels=1), ["both"]),
        ("last", dict(kind="linear", inputs=7, outputs=3, bias=True), ["prelu"]),
    ]
    tensors = {
        "first.weight": w0, "first.bias": b0, "second.weight": w1, "second.bias": b1,
        "prelu.weight": slopes, "last.weight": w2, "last.bias": b2,
    }
    mean, std = [0.5], [0.25]
    model = dict(
        format=1,
        network=dict(input_shape=[4], nodes=[dict(name=n, operator=o, operands=r) for n, o, r in nodes]),
        normalization=dict(mean=mean, std=std),
    )
    header, offset = {"__metadata__": {"roll": json.dumps(model)}}, 0
    for name, v in sorted(tensors.items()):
        header[name] = dict(dtype="F32", shape=list(v.shape), data_offsets=[offset, offset + v.nbytes])
        offset += v.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(v.tobytes() for _, v in sorted(tensors.items()))
    (HERE / "own-format.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

    def run(x):
        normal = (Flow.input(x) + -mean[0]).times(1.0 / std[0])
        a = normal.gemm(w0, b0).largest([[2 * i, 2 * i + 1] for i in range(4)], (4,))
        right = a.gemm(w1, b1).pieces(*steps)
        value = np.concatenate([a.value[1:3], right.value[:5]])
        both = a.map(value, np.concatenate([a.jacobian[:, 1:3], right.jacobian[:, :5]], 1))
        return both.relu(float(slopes[0])).gemm(w2, b2)

    return "own-format.safetensors", (0.5 + 0.25 * draw(6, 4)).astype(np.float32), run


def main():
    rows = ["model,data,index,prediction,eps_1,eps_2,eps_inf,neurons"]
    for make in (fully_connected, residual, max_pool, state_dict, own_format):
        model, inputs, run = make()
        data = Path(model).stem + ".npy"
        np.save(HERE / data, inputs)
        for index, x in enumerate(inputs):
            prediction, *found, neurons = margins(run(x))
            radii = ",".join(f"{v:.15g}" for v in found)
            rows.append(f"{model},{data},{index},{prediction},{radii},{neurons}")
    (HERE / "truth.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
