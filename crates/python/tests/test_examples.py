"""The examples run."""

import importlib.util
import os
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

import loclin

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed, which PyTorch exports modules with")
EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def run(name, *arguments):
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tutorial():
    assert "margins.csv" in run("tutorial.py")


@pytest.fixture
def mnist(tmp_path):
    """A folder `mnist` of noise in the files of MNIST."""
    random = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 256), ("t10k", 32)):
        labels = random.integers(0, 10, count).astype(np.uint8)
        images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return folder


def test_mnist(mnist):
    assert "accuracy" in run("mnist.py", mnist, 5)


def test_what_python_costs(mnist, tmp_path):
    random = np.random.default_rng(1)
    layers = [(random.normal(size=(8, 784)), np.zeros(8)), (random.normal(size=(10, 8)), np.zeros(10))]
    loclin.from_weights(layers).save(tmp_path / "net.safetensors")
    shown = run("overhead.py", tmp_path / "net.safetensors", tmp_path, 1, 16)
    assert "16 images, 8 neurons" in shown and "median ratio" in shown


@pytest.mark.skipif(importlib.util.find_spec("captum") is None, reason="captum is not installed")
def test_the_comparison_with_captum():
    table = run("captum_comparison.py").splitlines()
    errors = [float(line.split("|")[3]) for line in table[2:]]
    assert errors[0] < 1e-9 < errors[2] < errors[1]
