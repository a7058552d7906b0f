"""The networks of the verification competitions (VNN-COMP) through the reader.

    python xtask/peer/vnn_comp.py FOLDER [--table docs/results/vnn-comp.md]

FOLDER holds a folder for each year, in it one for each benchmark, in it its networks (.onnx or .onnx.gz, also deeper). Each is
read and its output at a random input compared with ONNX Runtime's, to 1e-4 (relative where it is above 1: the latter computes
in float32). Needs numpy, onnx and onnxruntime; says so, and tests nothing, where they are missing.
"""

import argparse
import collections
import gzip
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"skipped: 0 networks, {error.name} is not installed")
    sys.exit(0)


def prepare(file, place):
    """The network, a random input and the right output; nothing but the network where ONNX Runtime cannot run it."""
    content = file.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    (place / "model.onnx").write_bytes(content)
    onnxruntime.set_default_logger_severity(4)
    content = headless(content)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feeds = {}
    for value in session.get_inputs():
        shape = [size if isinstance(size, int) and size > 0 else 1 for size in value.shape]
        dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[value.type]
        feeds[value.name] = np.random.default_rng(0).random(shape).astype(dtype)
    if len(feeds) == 1:
        y = session.run(None, feeds)[0]
        np.save(place / "x.npy", next(iter(feeds.values())).astype(np.float64))
        np.save(place / "y.npy", np.asarray(y, np.float64))


def headless(content):
    """The network without the probabilities or labels at its end, which the reader leaves out."""
    model = onnx.load_model_from_string(content)
    makers = {output: node for node in model.graph.node for output in node.output}
    name = model.graph.output[0].name
    while name in makers and makers[name].op_type in ("Sigmoid", "Softmax", "LogSoftmax", "ArgMax"):
        name = makers[name].input[0]
    if name != model.graph.output[0].name:
        del model.graph.output[:]
        model.graph.output.add().name = name
    return model.SerializeToString()


def check(files):
    """Verdict and reason for each file."""
    with tempfile.TemporaryDirectory() as folder:
        for at, file in enumerate(files):
            place = pathlib.Path(folder) / str(at)
            place.mkdir()
            (place / "tolerance").write_text("1e-4")
            try:
                prepare(file, place)
            except Exception as error:
                print(f"{file}: ONNX Runtime: {str(error).splitlines()[0]}", file=sys.stderr)
        command = ["cargo", "run", "--quiet", "--package", "loclin-models", "--example", "onnx_cases", "--", folder]
        program = os.environ.get("ONNX_CASES")
        command = [program, folder] if program else command
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = {}
        for line in done.stdout.splitlines():
            name, verdict, why = line.split("\t", 2)
            compared = (pathlib.Path(folder) / name / "y.npy").exists()
            why = why.rsplit("model.onnx: ", 1)[-1]
            found[files[int(name)]] = (verdict if compared or verdict == "refused" else "read", why)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path, help="write the counts as a Markdown table")
    arguments = parser.parse_args()
    rows, wrong = [], 0
    for benchmark in sorted(path for path in arguments.folder.glob("*/*") if path.is_dir()):
        files = sorted(file for file in benchmark.rglob("*") if file.name.lower().endswith((".onnx", ".onnx.gz")))
        found = check(files) if files else {}
        counts = collections.Counter(verdict for verdict, _ in found.values())
        reasons = collections.Counter(why for verdict, why in found.values() if verdict == "refused")
        reasons = [why if n == 1 else f"{why} (and {n - 1} alike)" for why, n in kinds(reasons).items()]
        for file, (verdict, why) in found.items():
            if verdict in ("refused", "wrong"):
                print(f"{verdict}\t{file}\t{why}")
        wrong += counts["wrong"]
        absent = sum(1 for file in benchmark.rglob("*.absent"))
        row = (benchmark.parent.name, benchmark.name, len(files), counts["right"], counts["read"], counts["refused"])
        rows.append((*row, counts["wrong"], absent, "; ".join(reasons)))
        print("\t".join(map(str, rows[-1])), flush=True)
    if arguments.table:
        arguments.table.write_text(table(rows))
    return 1 if wrong else 0


def kinds(reasons):
    """Reasons with what comes after the node's name, counted."""
    found = collections.OrderedDict()
    first = {}
    for why, n in reasons.items():
        kind = why.split("` ", 1)[-1]
        first.setdefault(kind, why)
        found[first[kind]] = found.get(first[kind], 0) + n
    return found


def table(rows):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    total = [sum(row[i] for row in rows) for i in range(2, 8)]
    lines = [
        "# Networks of the verification competitions",
        "",
        f"VNN-COMP 2021 to 2024, from copies of the benchmarks' repositories; what these copies lack (large files) is "
        f"counted as not there. Made by `python xtask/peer/vnn_comp.py FOLDER --table docs/results/vnn-comp.md` at commit "
        f"{commit}. A network is right if its output at a random input is ONNX Runtime {onnxruntime.__version__}'s to 1e-4; it is "
        "read alone where ONNX Runtime cannot run it.",
        "",
        "| year | benchmark | networks | read, right | read alone | refused | wrong | not there | reason of a refusal |",
        "|---|---|---|---|---|---|---|---|---|",
        "| all | | " + " | ".join(map(str, total)) + " | |",
    ]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
