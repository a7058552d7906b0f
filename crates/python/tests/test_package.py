"""The package itself: documentation, types, weight."""

import doctest
import importlib
import pathlib
import subprocess
import sys
import time

import pytest

import loclin

MODULES = ("loclin", "loclin.network", "loclin.balls", "loclin.loading", "loclin.attribution", "loclin.results")


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_documentation_run(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert tried or name == "loclin.results"


def test_everything_public_is_documented():
    for name in loclin.__all__:
        thing = getattr(loclin, name)
        assert thing.__doc__, name
    for name, method in vars(loclin.Network).items():
        if callable(method) and not name.startswith("_"):
            assert method.__doc__, name


def test_the_page_of_all_functions_is_that_of_the_docstrings():
    tools = pathlib.Path(__file__).resolve().parents[1] / "tools"
    sys.path.insert(0, str(tools))
    try:
        api = importlib.import_module("api")
    finally:
        sys.path.remove(str(tools))
    assert api.PAGE.read_text(encoding="utf-8") == api.page(), "run python crates/python/tools/api.py"


def test_types_are_said_and_hold():
    pytest.importorskip("mypy")
    package = pathlib.Path(loclin.__file__).parent
    assert (package / "py.typed").is_file() and (package / "_native.pyi").is_file()
    settings = pathlib.Path(__file__).resolve().parents[1] / "pyproject.toml"
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(settings), "-p", "loclin"],
        capture_output=True,
        text=True,
        cwd=settings.parent,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_stub_has_what_the_engine_has():
    from loclin import _native

    stub = (pathlib.Path(loclin.__file__).parent / "_native.pyi").read_text()
    for name in dir(_native):
        if not name.startswith("__"):
            assert f"def {name}(" in stub or f"class {name}" in stub, name
    for name in dir(_native.Network):
        if not name.startswith("_"):
            assert f"def {name}(" in stub, name


def test_the_import_is_quick():
    # Of NumPy's own import nothing counts; the best of several, for a busy machine.
    code = "import numpy, time; start = time.perf_counter(); import loclin; print(time.perf_counter() - start)"

    def seconds():
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    start = time.monotonic()
    best = seconds()
    while best >= 0.2 and time.monotonic() - start < 30:
        best = min(best, seconds())
    assert best < 0.2
    imported = "import sys, loclin; print([m for m in ('torch', 'pandas', 'matplotlib', 'tqdm') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", imported], capture_output=True, text=True).stdout.strip() == "[]"
