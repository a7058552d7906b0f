"""The program from Python, and that both say the same."""

import csv
import io
import subprocess
import sys

import numpy as np

import loclin


def run(*arguments, **options):
    command = [sys.executable, "-m", "loclin", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_the_program_is_there():
    shown = run("--version")
    assert shown.returncode == 0 and loclin.__version__ in shown.stdout
    assert run().returncode == 2
    missing = run("certify", "--model", "none.onnx", "--data", "none.npy")
    assert missing.returncode == 1 and "none.onnx" in missing.stderr


def test_tables_are_those_of_the_program(evidence, tmp_path):
    model, data, table = evidence / "residual.onnx", evidence / "residual.npy", tmp_path / "margins.csv"
    done = run("certify", "--model", model, "--data", data, "--out", table, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = loclin.load(model).certify(np.load(data))
    own = list(csv.DictReader(io.StringIO(found.to_csv())))
    theirs = list(csv.DictReader(io.StringIO(table.read_text())))
    assert own == theirs
    found.to_csv(tmp_path / "own.csv")
    assert (tmp_path / "own.csv").read_text() == table.read_text()


def test_results_are_shown(net, x, tmp_path):
    found = net.certify(x, box=(-10, 10), labels=np.zeros(20))
    assert "eps_2" in repr(found) and "proved" in repr(found) and "domain     -10 to 10" in repr(found)
    whole = net.certify(x)
    assert "domain     whole balls" in repr(whole)
    assert 0 <= found.accuracy <= 1 and np.isnan(whole.accuracy)
    found.report(tmp_path / "report.html", title="Twenty points")
    page = (tmp_path / "report.html").read_text()
    assert "Twenty points" in page and "<svg" in page and "proved" in page
    radii = [float(row["eps_inf"]) for row in csv.DictReader(io.StringIO(found.to_csv()))]
    assert radii == found.eps["inf"].tolist()
    columns = list(csv.DictReader(io.StringIO(found.to_csv())))[0]
    assert columns["label"] == "0" and columns["domain"] == "-10 to 10"


def test_tables_for_pandas(net, x):
    pandas = __import__("pytest").importorskip("pandas")
    frame = net.certify(x).to_pandas()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 20
    assert list(frame.columns)[:4] == ["index", "label", "prediction", "eps_1"]
