"""Gradients of a ResNet-18's neurons in PyTorch: what `loclin certify` is measured against. Needs: torch, numpy.

  resnet_gradients.py RESNET.safetensors IMAGES.npy [--rows 1 16 64] [--neurons 512] [--dtype float64] [--threads 2]

The file is one of `loclin init --architecture resnet18` (torchvision's names). --rows 1 is a backward pass for each neuron; more are
so many at once by torch.func.vmap. Gradients of --neurons neurons are taken, drawn from all, and the times are those of all by
proportion. Prints one JSON object: seconds for an image, of the clock and of the processor, for each number of rows.
"""
import argparse
import json
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F


def read(path, dtype):
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    types = {"F32": np.float32, "F64": np.float64}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[start:end], types[entry["dtype"]]).reshape(entry["shape"])
            tensors[name] = torch.tensor(values).to(dtype)
    return tensors


def neurons(t, x):
    """Pre-activations of all ReLUs, and the differences of all windows of the max pooling, of one image."""
    z = []

    def block(x, conv, norm, stride, padding):
        y = F.conv2d(x, t[conv + ".weight"], None, stride, padding)
        return F.batch_norm(y, t[norm + ".running_mean"], t[norm + ".running_var"], t[norm + ".weight"], t[norm + ".bias"])

    def relu(y):
        z.append(y.flatten())
        return F.relu(y)

    y = relu(block(x, "conv1", "bn1", 2, 3))
    windows = F.unfold(F.pad(y.transpose(0, 1), (1, 1, 1, 1), value=-1.0), 3, stride=2)
    z.append((windows.amax(1, keepdim=True) - windows).flatten())
    y = F.max_pool2d(y, 3, 2, 1)
    for stage in range(1, 5):
        for number in range(2):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            h = relu(block(y, name + ".conv1", name + ".bn1", stride, 1))
            h = block(h, name + ".conv2", name + ".bn2", 1, 1)
            if stride == 2:
                y = block(y, name + ".downsample.0", name + ".downsample.1", 2, 0)
            y = relu(h + y)
    return torch.cat(z)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("images")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    dtype = getattr(torch, a.dtype)
    t = read(a.network, dtype)
    mean, std = (torch.tensor(v, dtype=dtype)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x = torch.tensor(np.load(a.images)[:1], dtype=dtype)
    z, pull = torch.func.vjp(lambda x: neurons(t, (x - mean) / std), x)
    chosen = torch.randperm(len(z), generator=torch.Generator().manual_seed(0))[: a.neurons]
    result = dict(neurons=len(z), measured=len(chosen), dtype=a.dtype, threads=a.threads)
    for rows in a.rows:
        start, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(chosen), rows):
            own = chosen[first : first + rows]
            units = torch.zeros(len(own), len(z), dtype=dtype).scatter_(1, own[:, None], 1.0)
            (g,) = torch.func.vmap(pull)(units) if rows > 1 else pull(units[0])
            g.flatten(-3).norm(dim=-1)
        share = len(z) / len(chosen)
        result[f"rows_{rows}"] = dict(seconds=share * (time.perf_counter() - start), processor=share * (time.process_time() - cpu))
    print(json.dumps(result))


main()
