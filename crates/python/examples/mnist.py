"""Trains a network on MNIST's digits with ROLL, and certifies it: `loclin fetch mnist`, then `python mnist.py`."""

import gzip
import pathlib
import sys

import numpy as np
import torch

import loclin
import loclin.torch

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "data/mnist")
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 2000


def read(name: str, header: int) -> np.ndarray:
    packed = folder / f"{name}.gz"
    data = gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()
    return np.frombuffer(data, np.uint8, offset=header)


x = torch.tensor(read("train-images-idx3-ubyte", 16).reshape(-1, 784) / 255.0, dtype=torch.float32)
y = torch.tensor(read("train-labels-idx1-ubyte", 8).astype(np.int64))
model = torch.nn.Sequential(
    torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10)
)
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
for step in range(steps):
    batch = torch.randint(len(x), (64,))
    regulariser, output = loclin.torch.roll_with_output(model, x[batch], c=0.25)
    loss = torch.nn.functional.cross_entropy(output, y[batch]) + 0.5 * regulariser
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

test = read("t10k-images-idx3-ubyte", 16).reshape(-1, 784)[:1000] / 255.0
labels = read("t10k-labels-idx1-ubyte", 8)[:1000]
certificates = loclin.from_torch(model, x[:1]).certify(test, box=(0, 1), labels=labels)
print(certificates, f"accuracy   {certificates.accuracy:.1%}", sep="\n")
