"""l2 margins of an ONNX network by back-propagation, one gradient for each neuron: what certify is measured against.
Needs: torch, numpy, onnx. Threads: --threads (default 2).

  neuron_gradients.py NETWORK.onnx IMAGES.npy [--limit N] [--dtype float64] [--rows 1] [--csv MARGINS.csv]

Neurons are the inputs of Relu nodes. --rows R puts R copies of an image in a batch and gets the gradients of R neurons from
one backward pass; 1 is the plain loop. With --csv the margins are compared with the column eps_2 of a file of certify --out.
Prints one JSON object.
"""
import argparse
import csv
import json
import time

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def read(path, dtype):
    graph = onnx.load(path).graph
    constants = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
    constants = {k: v.to(dtype) if v.is_floating_point() else v for k, v in constants.items()}
    inputs = [i.name for i in graph.input if i.name not in constants]
    nodes = [(n.op_type, list(n.input), n.output[0], {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}) for n in graph.node]
    return nodes, constants, inputs[0]


def neurons(network, x):
    """Pre-activations of all Relu nodes for a batch, one row for each input."""
    nodes, constants, name = network
    values, z = dict(constants), []
    values[name] = x
    for op, inputs, output, a in nodes:
        v = [values[i] for i in inputs]
        if op == "Conv":
            p = a["pads"]
            y = F.conv2d(F.pad(v[0], (p[1], p[3], p[0], p[2])), v[1], v[2] if len(v) > 2 else None, a["strides"], 0, a["dilations"], a["group"])
        elif op == "Gemm":
            y = F.linear(v[0], v[1] if a.get("transB") else v[1].T, v[2])
        elif op == "Relu":
            z.append(v[0].flatten(1))
            y = F.relu(v[0])
        elif op == "Add":
            y = v[0] + v[1]
        elif op == "Flatten":
            y = v[0].flatten(1)
        else:
            raise SystemExit(f"{op}: this script knows Conv, Gemm, Relu, Add and Flatten")
        values[output] = y
    return torch.cat(z, 1)


def margin(network, x, rows):
    count = neurons(network, x[None]).shape[1]
    best = float("inf")
    if rows == 1:
        x = x[None].clone().requires_grad_()
        z = neurons(network, x)[0]
        for j in range(count):
            (g,) = torch.autograd.grad(z[j], x, retain_graph=True)
            length = g.norm().item()
            if length > 0:
                best = min(best, abs(z[j].item()) / length)
        return best, count
    for start in range(0, count, rows):
        wanted = torch.arange(start, min(start + rows, count))
        batch = x.expand(len(wanted), *x.shape).clone().requires_grad_()
        z = neurons(network, batch)[torch.arange(len(wanted)), wanted]
        (g,) = torch.autograd.grad(z.sum(), batch)
        length = g.flatten(1).norm(dim=1)
        best = min(best, (z.detach().abs() / length)[length > 0].min().item())
    return best, count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("images")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--csv")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    dtype = getattr(torch, a.dtype)
    network = read(a.network, dtype)
    images = torch.tensor(np.load(a.images)[: a.limit], dtype=dtype)
    start, cpu = time.perf_counter(), time.process_time()
    margins, count = zip(*(margin(network, x, a.rows) for x in images))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    result = dict(images=len(images), neurons=count[0], rows=a.rows, dtype=a.dtype, seconds_per_image=seconds / len(images))
    result["cpu_seconds_per_image"] = cpu / len(images)
    if a.csv:
        found = [float(r["eps_2"]) for r in csv.DictReader(open(a.csv))][: len(margins)]
        result["largest_relative_difference"] = max(abs(f / m - 1) for f, m in zip(found, margins))
    print(json.dumps(result))


main()
