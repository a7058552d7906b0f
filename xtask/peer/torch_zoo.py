"""Networks of torchvision through the reader: both exporters' ONNX files, and state dicts by name.

    python xtask/peer/torch_zoo.py [--only NAME] [--table docs/results/torch-zoo.md]

Random weights, and batch-normalisation statistics of random images, so that values have the scale of a trained network's.
Images of 64 x 64, or the least that a network takes. Each file's outputs are compared with ONNX Runtime's (float32; relative
to the largest output): to 1e-5, or to twice what float32 does to PyTorch's own outputs. Exported again in float64, where joining weights with normalisations costs nothing, its outputs and
the gradients of 48 activation neurons are compared with PyTorch's and its automatic differentiation: the 24 that are nearest to
their boundary, relative to their layer, and the nearest of 24 layers from first to last. A neuron is known by its place and value, whatever either side calls it.

Needs torch, torchvision, onnx, onnxruntime and onnxscript; says so, and tests nothing, where they are missing.
"""

import argparse
import contextlib
import copy
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnxruntime
    import onnxscript
    import torch
    import torchvision
except ImportError as error:
    print(f"skipped: 0 networks, {error.name} is not installed")
    sys.exit(0)

SIDES = {"inception_v3": 75, "alexnet": 63}
# The legacy exporter has no adaptive pooling of sides that do not divide.
LEGACY_SIDES = {"vgg11_bn": 224, "alexnet": 224}
EXPORTED = (
    "resnet18 resnet34 wide_resnet50_2 resnet50 resnext50_32x4d regnet_y_400mf mobilenet_v2 densenet121 squeezenet1_1 "
    "shufflenet_v2_x0_5 mnasnet0_5 googlenet inception_v3 vgg11_bn alexnet"
).split()
NAMED = (
    "alexnet densenet121 densenet169 mobilenet_v2 resnet18 resnet34 resnet50 resnet101 resnext50_32x4d squeezenet1_0 "
    "squeezenet1_1 vgg11 vgg11_bn vgg13 vgg16 vgg16_bn wide_resnet50_2"
).split()
NOT_LINEAR = ("regnet_y_400mf",)
NEURONS = 24


def network(name):
    """A network in inference mode with the statistics of some images, and one image."""
    torch.manual_seed(0)
    more = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, **more)
    side = SIDES.get(name, 64)
    images = torch.randn(8, 3, side, side)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum, norm.training = 1.0, True
    model.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        model(images)
    return model.eval(), images[:1]


@contextlib.contextmanager
def recorded(inputs):
    """Keeps the inputs of every ReLU and ReLU6, with the values where their slope changes."""
    functional = torch.nn.functional
    before = functional.relu, functional.relu6, functional.hardtanh, torch.relu

    def relu(x, inplace=False):
        inputs.append((x, (0.0,)))
        return x.clamp(min=0)

    def relu6(x, *_, **__):
        inputs.append((x, (0.0, 6.0)))
        return x.clamp(0, 6)

    functional.relu, functional.relu6, functional.hardtanh, torch.relu = relu, relu6, relu6, relu
    try:
        yield
    finally:
        functional.relu, functional.relu6, functional.hardtanh, torch.relu = before


def gradients(model, x, place):
    """The largest relative difference of the gradients of the neurons that the reader names."""
    model = copy.deepcopy(model).double()
    x = x.double().requires_grad_()
    inputs = []
    with recorded(inputs):
        model(x)
    worst = 0.0
    values, units, ours = (np.load(place / f"{name}.npy") for name in ("values", "units", "gradients"))
    for value, (count, unit), our in zip(values, units.astype(int), ours):
        # Where a unit has two neurons they lie side by side or one half after the other.
        found = [
            z.reshape(-1)[at] - b
            for z, breaks in inputs
            if z.numel() * len(breaks) == count
            for b in breaks
            for at in {unit // len(breaks), unit % z.numel()}
        ]
        found = [z for z in found if abs(z.item() - value) <= 1e-9 * max(1.0, abs(value))]
        if not found:
            return float("inf")
        theirs = (torch.autograd.grad(z, x, retain_graph=True)[0].reshape(-1).numpy() for z in found)
        worst = max(worst, min(float(np.abs(t - our).max() / np.abs(t).max()) for t in theirs))
    return worst


def compare(found, right):
    return float(np.abs(found - right).max() / np.abs(right).max())


def export(model, x, place, dynamo):
    model = copy.deepcopy(model)
    with contextlib.redirect_stdout(sys.stderr):
        more = {} if dynamo else {"dynamo": False}
        torch.onnx.export(model, (x,), str(place / "model.onnx"), **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="the networks of this name alone")
    parser.add_argument("--table", type=pathlib.Path, help="write the results as a Markdown table")
    arguments = parser.parse_args()
    wanted = lambda name: arguments.only in (None, name)
    rows = []
    for name in filter(wanted, dict.fromkeys(EXPORTED + NAMED)):
        model, x = network(name)
        ways = ["default exporter", "legacy exporter"] if name in EXPORTED else []
        ways += ["state dict"] if name in NAMED else []
        with tempfile.TemporaryDirectory() as folder:
            failed, images = {}, {}
            for way in ways:
                place = pathlib.Path(folder) / way.replace(" ", "-")
                place.mkdir()
                large = way == "legacy exporter" and name in LEGACY_SIDES
                image = torch.randn(1, 3, *[LEGACY_SIDES[name]] * 2) if large else x
                images[way] = image
                if way == "state dict":
                    torch.save(model.state_dict(), place / "model.pth")
                    (place / "architecture").write_text(name)
                else:
                    double = place.with_name(place.name + "-double")
                    double.mkdir()
                    try:
                        export(model, image, place, way == "default exporter")
                        export(copy.deepcopy(model).double(), image.double(), double, way == "default exporter")
                        np.save(double / "x.npy", image.numpy())
                    except Exception as error:  # What torch cannot export is no fault of the reader.
                        failed[place.name] = str(error).splitlines()[0]
                        continue
                np.save(place / "x.npy", image.numpy())
            command = ["cargo", "run", "--quiet", "--package", "loclin-models", "--example", "zoo_cases", "--"]
            program = os.environ.get("ZOO_CASES")
            command = [program] if program else command
            done = subprocess.run(command + [folder, str(NEURONS)], check=True, capture_output=True, text=True)
            lines = dict((line.split("\t", 1)) for line in done.stdout.splitlines())
            for way in ways:
                place = pathlib.Path(folder) / way.replace(" ", "-")
                image = images[way]
                rows.append((name, image.shape[-1], way, *judge(name, model, image, place, lines, failed)))
                print("\t".join(map(str, rows[-1])), flush=True)
    bad = [row for row in rows if not row[3].startswith(("right", "refused, rightly"))]
    print(f"{len(rows)} files, {len(bad)} not right")
    if arguments.table:
        arguments.table.write_text(table(rows))
    return 1 if bad else 0


def judge(name, model, x, place, lines, failed):
    """The verdict, and differences from ONNX Runtime, of PyTorch from itself in float32, from PyTorch, of the gradients."""
    if place.name in failed:
        return f"not exported: {failed[place.name]}", "", "", "", ""
    exact = place if (place / "architecture").exists() else place.with_name(place.name + "-double")
    verdict, why = lines[place.name].split("\t", 1)
    if verdict != "refused":
        verdict, why = lines[exact.name].split("\t", 1)
    if verdict == "refused":
        rightly = name in NOT_LINEAR and "piecewise linear" in why
        why = why.rsplit("model.onnx: ", 1)[-1]
        return (f"refused, rightly: {why}" if rightly else f"refused: {why}"), "", "", "", ""
    found = np.load(place / "outputs.npy")
    with torch.no_grad():
        double = copy.deepcopy(model).double()(x.double()).numpy()
        torchs = compare(np.load(exact / "outputs.npy"), double)
        single = compare(model(x).numpy(), double)
    runtime = 0.0
    if (place / "model.onnx").exists():
        session = onnxruntime.InferenceSession(str(place / "model.onnx"), providers=["CPUExecutionProvider"])
        runtime = compare(found, session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    worst = gradients(model, x, exact)
    right = runtime <= max(1e-5, 2 * single) and torchs <= 1e-9 and worst <= 1e-9
    shown = f"{runtime:.1e}" if (place / "model.onnx").exists() else ""
    return "right" if right else "wrong", shown, f"{single:.1e}", f"{torchs:.1e}", f"{worst:.1e}"


def table(rows):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines = [
        "# Networks of torchvision",
        "",
        f"torch {torch.__version__.split('+')[0]}, torchvision {torchvision.__version__.split('+')[0]}, onnxruntime "
        f"{onnxruntime.__version__}, onnxscript {onnxscript.__version__}; random weights. Made by `python "
        f"xtask/peer/torch_zoo.py --table docs/results/torch-zoo.md` at commit {commit}, on two cores of an AMD EPYC. "
        "Differences of outputs are relative to the largest output, those of gradients to each gradient's largest entry; "
        f"gradients are of the {NEURONS} activation neurons nearest to their boundary, relative to their layer, and the nearest of "
        f"{NEURONS} layers from first to last. ONNX Runtime computes in float32, the others in float64 (files exported in float64).",
        "",
        "| network | side | file | result | ONNX Runtime | PyTorch, float32 against float64 | outputs: PyTorch | gradients: PyTorch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
