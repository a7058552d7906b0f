"""Networks and files of the tests, and how many tests are skipped for want of PyTorch or ONNX."""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np
import pytest

import loclin

EVIDENCE = pathlib.Path(__file__).resolve().parents[3] / "tests" / "evidence"

HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture
def evidence() -> pathlib.Path:
    """The folder of small networks that the workspace's own tests read."""
    if not EVIDENCE.is_dir():
        pytest.skip("the networks of tests/evidence are not there")
    return EVIDENCE


@pytest.fixture
def weights():
    """Weights and biases of a chain 4 - 16 - 16 - 3."""
    random = np.random.default_rng(7)
    sizes = (4, 16, 16, 3)
    return [(random.normal(size=(o, i)) / np.sqrt(i), random.normal(size=o) / 4) for i, o in zip(sizes, sizes[1:])]


@pytest.fixture
def net(weights):
    return loclin.from_weights(weights)


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(20, 4))


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    for package in ("torch", "onnx"):
        without = sum(f"{package} is not installed" in str(report.longrepr) for report in skipped)
        if without:
            terminalreporter.write_line(f"{without} tests or files of tests skipped for want of {package}")
