"""What Python costs: seconds of certifying MNIST's test images from NumPy and by the command line, in alternation.

`python overhead.py RUN [DATA] [ROUNDS] [LIMIT]`: RUN is the run directory of a network on MNIST, DATA the folder that holds `mnist`.
Both sides are the engine of this package; seconds are those that each says of itself, data already loaded.
"""

import csv
import gzip
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import loclin

model = sys.argv[1]
data = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "data")
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
limit = int(sys.argv[4]) if len(sys.argv) > 4 else 10_000


def images() -> np.ndarray:
    packed = data / "mnist" / "t10k-images-idx3-ubyte.gz"
    read = gzip.decompress(packed.read_bytes()) if packed.is_file() else packed.with_suffix("").read_bytes()
    return np.frombuffer(read, np.uint8, offset=16).reshape(-1, 28, 28)[:limit] / 255.0


def by_command(*more: str) -> float:
    options = ["--model", model, "--data", "mnist", "--data-dir", str(data), "--limit", str(limit), "--json", "--quiet"]
    command = [sys.executable, "-m", "loclin", "certify", *options, *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["seconds"]


net = loclin.load(model)
x = np.ascontiguousarray(images().reshape(-1, *net.input_shape))

# Both give the same radii; this also reads the files and starts the threads.
with tempfile.TemporaryDirectory() as folder:
    table = pathlib.Path(folder) / "margins.csv"
    by_command("--out", str(table))
    with open(table, newline="") as file:
        theirs = list(csv.DictReader(file))
own = net.certify(x, box=(0, 1))
for p, radii in own.eps.items():
    different = radii != np.array([float(row[f"eps_{p}"]) for row in theirs])
    assert not different.any(), f"l{p}: {different.sum()} radii differ"

print(f"{len(x)} images, {own.neurons} neurons, norms {', '.join(own.eps)}: the radii are the same")
print("| round | command line | `net.certify(x)` | ratio |\n|---|---|---|---|")
ratios = []
for number in range(rounds):
    theirs_took = by_command()
    start = time.perf_counter()
    net.certify(x, box=(0, 1))
    took = time.perf_counter() - start
    ratios.append(took / theirs_took)
    print(f"| {number + 1} | {theirs_took:.2f} s | {took:.2f} s | {ratios[-1]:.3f} |", flush=True)
print(f"median ratio {statistics.median(ratios):.3f}")
