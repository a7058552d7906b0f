"""ONNX's own node tests through the reader.

Every test of `onnx.backend.test` becomes models with one input: each floating-point input in turn is the network's, the
others are constants of the test's data. The reader's outputs are compared with those of the test, to 1e-6 (relative
where they are above 1; 1e-2 for 16-bit types).

    python xtask/peer/onnx_node_tests.py [--list] [--table docs/results/onnx-node-tests.md]

Needs numpy and onnx; says so, and tests nothing, where they are missing.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
    from onnx.backend.test.case.node import collect_testcases
except ImportError as error:
    print(f"skipped: 0 node tests, {error.name} is not installed")
    sys.exit(0)

FLOATS = {
    onnx.TensorProto.FLOAT: 1e-6,
    onnx.TensorProto.DOUBLE: 1e-6,
    onnx.TensorProto.FLOAT16: 1e-2,
    onnx.TensorProto.BFLOAT16: 1e-2,
}
# Tests whose outputs are written with few digits.
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}


def variants(case):
    """(suffix, model, input, output, tolerance) for each floating-point input of a test."""
    graph = case.model.graph
    for inputs, outputs in case.data_sets:
        for at, value in enumerate(graph.input):
            kind = value.type.tensor_type.elem_type
            if not value.type.HasField("tensor_type") or kind not in FLOATS:
                continue
            x = np.asarray(inputs[at], dtype=np.float64) if at < len(inputs) else None
            if x is None or x.size == 0 or x.ndim == 0:
                continue
            model = onnx.ModelProto()
            model.CopyFrom(case.model)
            others = [i for i in range(len(graph.input)) if i != at]
            if any(not isinstance(inputs[i], (np.ndarray, np.generic)) for i in others):
                continue
            for i in others:
                constant = numpy_helper.from_array(np.asarray(inputs[i]), graph.input[i].name)
                constant.data_type = graph.input[i].type.tensor_type.elem_type
                model.graph.initializer.append(constant)
            del model.graph.input[:]
            model.graph.input.append(value)
            dims = model.graph.input[0].type.tensor_type.shape
            del dims.dim[:]
            for size in x.shape:
                dims.dim.add().dim_value = size
            chosen = [
                i
                for i, output in enumerate(graph.output)
                if output.type.tensor_type.elem_type in FLOATS and isinstance(outputs[i], (np.ndarray, np.generic))
            ]
            if not chosen:
                continue
            del model.graph.output[:]
            model.graph.output.append(graph.output[chosen[0]])
            y = np.asarray(outputs[chosen[0]], dtype=np.float64)
            if y.size == 0:
                continue
            tolerance = max(FLOATS[kind], FLOATS[graph.output[chosen[0]].type.tensor_type.elem_type])
            tolerance = ROUNDED.get(case.name, tolerance)
            yield f"{case.name}@{value.name}", model, x, y, tolerance
        return


def operator(case):
    """The operator that a test is about."""
    return case.model.graph.node[-1].op_type if len(case.model.graph.node) == 1 else case.name


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print every variant that is not read")
    parser.add_argument("--table", type=pathlib.Path, help="write the counts as a Markdown table")
    arguments = parser.parse_args()
    operators, skipped = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in collect_testcases(None):
            if case.model is None or case.name.endswith("_expanded") or "_expanded_" in case.name:
                continue
            try:
                found = list(variants(case))
            except Exception:  # Types that numpy lacks.
                skipped += 1
                continue
            for name, model, x, y, tolerance in found:
                place = pathlib.Path(folder) / name.replace("/", "_")
                place.mkdir(exist_ok=True)
                onnx.save(model, place / "model.onnx")
                np.save(place / "x.npy", np.ascontiguousarray(x))
                np.save(place / "y.npy", np.ascontiguousarray(y))
                (place / "tolerance").write_text(str(tolerance))
                operators[place.name] = operator(case)
        command = ["cargo", "run", "--quiet", "--package", "loclin-models", "--example", "onnx_cases", "--", folder]
        program = os.environ.get("ONNX_CASES")
        command = [program, folder] if program else command
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    counts = collections.defaultdict(collections.Counter)
    for line in done.stdout.splitlines():
        name, verdict, why = line.split("\t", 2)
        kind = verdict
        if verdict == "refused" and ("not piecewise linear" in why or "not continuous" in why):
            kind = "no piecewise-linear function"
        counts[operators[name]][kind] += 1
        if arguments.list and verdict != "right":
            print(f"{verdict}\t{name}\t{why}")
    total = sum(counts.values(), collections.Counter())
    print(dict(total), f"skipped {skipped}")
    if arguments.table:
        arguments.table.write_text(table(counts, total))
    return 1 if total["wrong"] else 0


def table(counts, total):
    kinds = ["right", "refused", "no piecewise-linear function", "wrong"]
    heads = ["read, right to 1e-6", "refused: not supported", "refused: no piecewise-linear function", "wrong"]
    lines = [
        "# ONNX's node tests",
        "",
        f"Every node test of onnx {onnx.__version__}, each floating-point input in turn as the network's input, the others "
        "constant; tests that are written out of other operators are left out. Made by "
        "`python xtask/peer/onnx_node_tests.py --table docs/results/onnx-node-tests.md`. Among the functions that are not "
        "piecewise linear are products in which both factors depend on the input.",
        "",
        "| operator | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(kinds),
        "| **all** | " + " | ".join(str(total[kind]) for kind in kinds) + " |",
    ]
    for name in sorted(name for name in counts if counts[name]["right"]):
        lines.append(f"| {name} | " + " | ".join(str(counts[name][kind]) for kind in kinds) + " |")
    rest = sorted(name for name in counts if not counts[name]["right"])
    lines += ["", "Operators none of whose tests is read: " + ", ".join(rest) + ".", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
