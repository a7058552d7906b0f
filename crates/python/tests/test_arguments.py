"""Whatever holds numbers, wrong arguments, and the exceptions."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import loclin


class Dlpack:
    """An array that only speaks DLPack."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class HasArray:
    """An array that only speaks ``__array__``."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._array, dtype=dtype)


def test_arrays_of_every_kind_are_the_same(net, x):
    x = x.astype(np.float32)
    expected = net.certify(x).eps["2"]
    strided = np.empty((20, 8), dtype=np.float32)
    strided[:, ::2] = x
    kinds = [
        x.astype(np.float64),
        strided[:, ::2],
        np.asfortranarray(x),
        x.tolist(),
        x.astype(">f4"),
        Dlpack(x),
        HasArray(x),
    ]
    for kind in kinds:
        np.testing.assert_array_equal(net.certify(kind).eps["2"], expected)
    whole = np.round(x * 100)
    expected = net.certify(whole).eps["2"]
    for dtype in (np.int64, np.int16, np.float16, np.longdouble):
        np.testing.assert_array_equal(net.certify(whole.astype(dtype)).eps["2"], expected)


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (np.zeros((3, 5)), loclin.ShapeError, r"\['batch', 4\], found \[3, 5\]"),
        (np.zeros((0, 4)), loclin.ShapeError, "no inputs"),
        (0.5, loclin.ShapeError, "found"),
        (np.zeros((3, 4), dtype=complex), TypeError, "real numbers"),
        (np.array([["a"] * 4]), TypeError, "real numbers"),
        ([[0.0] * 4, [np.nan] * 4], loclin.NotFiniteError, "input 1"),
        ([[np.inf] * 4], loclin.NotFiniteError, "input 0"),
        (np.full((1, 4), 2**62 + 1), ValueError, "exactly"),
    ],
)
def test_wrong_inputs_are_said(net, wrong, error, text):
    for question in (net.certify, net.gradient, net.jacobian, net.count_regions):
        with pytest.raises(error, match=text):
            question(wrong)
    assert issubclass(error, (ValueError, TypeError))


def test_wrong_numbers_in_late_batches_are_named(net):
    x = np.zeros((1500, 4))
    x[1234, 2] = np.nan
    with pytest.raises(loclin.NotFiniteError, match="input 1234"):
        net.certify(x)


def test_numbers_anywhere_in_memory_are_read(net):
    x = np.arange(12.0).reshape(3, 4)
    for dtype in (np.float64, np.float32):
        moved = np.frombuffer(b"\0" + x.astype(dtype).tobytes(), dtype, offset=1).reshape(3, 4)
        np.testing.assert_array_equal(net.forward(moved), net.forward(x.astype(dtype)))


def test_one_number_is_an_array_of_one():
    net = loclin.from_weights([(np.ones((1, 1)), 0.5)])
    assert net.forward(2.0).tolist() == [[2.5]]


class Picture:
    """As libraries of images have it: an array by its interface alone."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__
        self.kept = array


@pytest.mark.parametrize("of", [np.asarray, lambda x: list(x), Picture])
def test_bytes_are_said_whatever_holds_them(net, of):
    with pytest.warns(loclin.LoclinWarning, match="bytes"):
        net.forward(of(np.full((1, 4), 200, np.uint8)))


def test_points_of_other_shapes_are_named(net):
    polyhedron = net.polyhedron(np.ones(4))
    assert polyhedron.slack(np.zeros((0, 4))).shape == (0, len(polyhedron.offsets))
    for wrong in (np.zeros((2, 3)), 1.0):
        with pytest.raises(loclin.ShapeError, match="v: expected points"):
            polyhedron.slack(wrong)
    with pytest.raises(loclin.ShapeError, match="x: no array"):
        net.forward([[1.0, 2.0], [3.0]])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_does_not_wait_for_threads_it_lacks(net, x):
    net.certify(x)
    with warnings.catch_warnings():
        # Newer versions of Python warn of forks beside threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            net.certify(x)
        except RuntimeError as error:
            os._exit(7 if "spawn" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_numbers_beside_the_inputs_are_named(net):
    x, wrong = np.zeros((1, 4)), [0.0, np.nan, 0.0, 0.0]
    questions = {
        r"directions\[0, 1\] is not finite \(nan\)": lambda: net.margins_along(x, [wrong]),
        r"u\[1\] is": lambda: net.plane(x, wrong, np.ones(4)),
        r"v\[1\] is": lambda: net.plane(x, np.ones(4), wrong),
        r"baselines\[1\] is": lambda: loclin.IntegratedGradients(net).attribute(x, 0, baselines=wrong),
        r"baselines is not finite \(inf\)": lambda: loclin.IntegratedGradients(net).attribute(x, 0, baselines=np.inf),
        "input 0": lambda: loclin.IntegratedGradients(net).attribute([wrong], 0),
    }
    for text, question in questions.items():
        with pytest.raises(loclin.NotFiniteError, match=text):
            question()


def test_wrong_options_are_said(net, x):
    for options, text in [
        ({"norms": 0.5}, "norm"),
        ({"norms": "one"}, "norms: expected 1, 2"),
        ({"norms": b"2"}, "norms: expected 1, 2"),
        ({"norms": ()}, "at least one"),
        ({"method": "guess"}, "method: expected auto"),
        ({"deployed": "f8"}, 'deployed: expected "f32"'),
        ({"threads": 0}, "threads: expected a whole number of at least 1"),
        ({"threads": 10**6}, "threads: expected at most 1024, found 1000000"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"box": 1}, "box"),
        ({"box": (1, 0)}, "empty"),
        ({"box": (np.zeros(3), 1)}, "box, lower ends"),
        ({"labels": [1, 2]}, "labels: expected 20, one for each input"),
        ({"labels": [1]}, "labels: expected 20, one for each input"),
        ({"labels": [-1] * 20}, "labels: expected indices"),
        ({"failure_probability": 2.0}, "failure probability"),
        ({"failure_probability": 0.1, "deployed": "f32"}, "deployed: .* failure_probability is not for them"),
        ({"upper": True, "deployed": "f32"}, "deployed: .* upper is not for them"),
        ({"labels": [99] * 20}, "labels: class 99, and the network has"),
        ({"method": None}, "method: expected auto.* found .None"),
    ]:
        with pytest.raises(ValueError, match=text):
            net.certify(x, **options)
    for ask in (net.gradient, lambda x, target: net.bound(x, 0.1, target=target), loclin.IntegratedGradients(net).attribute):
        with pytest.raises(ValueError, match="target: output 3, and the network has 3, counted from 0"):
            ask(x, target=3)
    for target in (-1, np.inf, 0.5):
        with pytest.raises(ValueError, match="target: expected indices of outputs"):
            net.gradient(x, target=target)
    with pytest.raises(loclin.ShapeError, match="directions"):
        net.margins_along(x, np.zeros((2, 3)))
    with pytest.raises(loclin.ShapeError, match="K at least 1"):
        net.margins_along(x, np.zeros((0, 4)))
    with pytest.raises(loclin.ShapeError, match="one input"):
        net.polyhedron(x)
    with pytest.raises(ValueError):
        net.bound(x[:1], -0.1)
    for options, text in [({"time": np.inf}, "time: expected seconds"), ({"top": -1, "what": "top-k"}, "top: expected a whole"), ({"parts": 0.5}, "parts")]:
        with pytest.raises((TypeError, ValueError), match=text):
            net.bound(x[:1], 0.1, **options)
    for change in (np.nan, -1, "much", "-5%"):
        with pytest.raises(ValueError, match="change: expected a number of at least 0"):
            net.largest(x[:1], change)
    u, v = np.eye(4)[:2]
    for arguments, text in [
        ({"x": x, "u": u, "v": v}, "x: expected one input"), ({"x": x[0], "u": u[:2], "v": v}, "u: expected shape"),
        ({"x": x[0], "u": u, "v": v, "extent": (1, -1, -1, 1)}, "the lower one first"),
        ({"x": x[0], "u": u, "v": v, "grid": 100_000}, "a grid of 100000; needs 1 to"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            net.plane(**arguments)


def test_one_output_has_no_class_that_stays(x):
    net = loclin.from_weights([(np.eye(4), np.zeros(4)), (np.ones((1, 4)), -np.ones(1))])
    for ask in (lambda: net.bound(x[:1], 1.0, "class"), lambda: net.largest(x[:1], what="class")):
        with pytest.raises(ValueError, match="class of one output"):
            ask()


def test_masked_numbers_are_none_and_bytes_are_told(net, x):
    with pytest.raises(TypeError, match="masked"):
        net.certify(np.ma.masked_greater(x, 0.5))
    with pytest.warns(loclin.LoclinWarning, match="bytes"):
        found = net.certify(np.ones((2, 4), dtype=np.uint8))
    np.testing.assert_array_equal(found.eps["2"], net.certify(np.ones((2, 4))).eps["2"])


def test_what_is_no_file_and_no_chain_is_said():
    for data in ("a.onnx", 5):
        with pytest.raises(TypeError, match="bytes of a file"):
            loclin.from_onnx(data)
    with pytest.raises(loclin.ShapeError, match="transposed"):
        loclin.from_weights([(np.ones((2, 3)), np.zeros(3)), (np.ones((3, 1)), np.zeros(1))])
    with pytest.raises(loclin.ShapeError, match="behind 3 outputs"):
        loclin.from_weights([(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 2)), np.zeros(1))])


def test_infinite_radii_have_percentiles_and_a_box_its_digits():
    net = loclin.from_weights([(np.array([[1.0, 1.0]]), np.array([0.1])), (np.ones((1, 1)), np.zeros(1))])
    low, high = (0 - 0.485) / 0.229, 0.6666666
    found = net.certify(np.full((4, 2), [[0.5, 0.25]]) * np.arange(1, 3).repeat(2)[:, None], 2, box=(0.0, 1.0))
    assert np.isinf(found.percentiles()["2"]).all() and " inf" in repr(found)
    found = net.certify([[0.5, 0.5], [-2.0, 0.5]], 2, box=(np.full(2, low), high))
    assert np.isfinite(found.percentiles()["2"]).any() and found.domain.split(" to ") == [repr(low), repr(high)]


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(FileNotFoundError):
        loclin.load(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError):
        loclin.load(tmp_path / "none.safetensors")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(loclin.ModelError, match="broken.onnx"):
        loclin.load(broken)
    with pytest.raises(loclin.ModelError, match="not a well-formed ONNX"):
        loclin.from_onnx(b"no model")
    with pytest.raises(loclin.ModelError, match="not a model"):
        (tmp_path / "model.txt").write_text("")
        loclin.load(tmp_path / "model.txt")


def test_models_are_read_and_written(evidence, tmp_path, net, x):
    for name in ("leaky", "residual", "max-pool"):
        own = loclin.load(evidence / f"{name}.onnx")
        inputs = np.load(evidence / f"{name}.npy")
        found = own.certify(inputs)
        assert found.guarantee == "proved" and (found.eps["2"] > 0).all()
        data = (evidence / f"{name}.onnx").read_bytes()
        np.testing.assert_array_equal(loclin.from_onnx(data).certify(inputs).eps["2"], found.eps["2"])
        packed = tmp_path / f"{name}.onnx.gz"
        packed.write_bytes(gzip.compress(data))
        assert loclin.load(str(packed)).input_shape == own.input_shape
        assert "neurons" in own.summary() and "loclin.Network" in repr(own)
    net.save(tmp_path / "own.safetensors")
    again = loclin.load(tmp_path / "own.safetensors")
    np.testing.assert_array_equal(again.certify(x).eps["1"], net.certify(x).eps["1"])


def test_normalisation_is_part_of_the_network(net, x, tmp_path):
    net.save(tmp_path / "own.safetensors")
    behind = loclin.load(tmp_path / "own.safetensors", mean=0.5, std=0.25)
    found, plain = behind.certify(x), net.certify((x - 0.5) / 0.25)
    np.testing.assert_allclose(found.eps["2"], plain.eps["2"] * 0.25, rtol=1e-9)
    assert behind.normalization == ([0.5], [0.25])
    with pytest.raises(ValueError, match="one without the other"):
        loclin.load(tmp_path / "own.safetensors", mean=0.5)


def test_options_of_other_questions_are_refused(net, x):
    for what, options, text in [
        ("sign", {"gradient_norm": 2}, "gradient_norm: not for"),
        ("class", {"gradient_norm": 2}, "gradient_norm: not for"),
        ("change", {"top": 3}, "top: not for"),
        ("operator", {"target": 1}, "target: not for"),
        (None, {}, "None"),
    ]:
        with pytest.raises(ValueError, match=text):
            net.bound(x[:1], 0.01, what, **options)


def test_weights_are_finite_and_models_have_their_ending(net, tmp_path):
    for bad in (np.nan, np.inf):
        with pytest.raises(loclin.NotFiniteError, match=r"layers\[0\], bias"):
            loclin.from_weights([(np.eye(2), np.array([0.0, bad]))])
    for name in ("net.onnx", "net"):
        with pytest.raises(ValueError, match="safetensors"):
            net.save(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_threads_change_nothing_of_note(net, x):
    one, two = net.certify(x, threads=1), net.certify(x, threads=2)
    np.testing.assert_allclose(one.eps["2"], two.eps["2"], rtol=1e-12)


def test_other_threads_of_python_go_on():
    net = slow()
    done = threading.Event()
    worker = threading.Thread(target=lambda: (net.bound(np.zeros((1, 40)), 0.5, time=2.0), done.set()))
    worker.start()
    ticks = 0
    while not done.is_set() and ticks < 10_000:
        ticks += 1
        time.sleep(0.001)
    worker.join()
    assert ticks > 100


def slow():
    """A network whose balls take long."""
    random = np.random.default_rng(0)
    sizes = (40, 200, 200, 2)
    return loclin.from_weights(
        [(random.normal(size=(o, i)) / np.sqrt(i), np.zeros(o) + 0.01) for i, o in zip(sizes, sizes[1:])]
    )


INTERRUPTED = """
import numpy as np, loclin, signal
# What runs in the background of a shell ignores interrupts, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
random = np.random.default_rng(0)
sizes = (40, 200, 200, 2)
net = loclin.from_weights([(random.normal(size=(o, i)) / np.sqrt(i), np.zeros(o) + 0.01) for i, o in zip(sizes, sizes[1:])])
print("ready", flush=True)
try:
    net.bound(np.zeros((50, 40)), 0.5, time=5.0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    # The batch at hand is left to itself.
    import os
    os._exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_is_noticed_within_a_second():
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - start < 1.0
    assert process.wait() == 7


def test_arguments_of_other_types_are_named(net, weights, x):
    one, u, v = x[:1], *np.eye(4)[:2]
    questions = {
        "upper: expected True or False, found 1": lambda: net.certify(one, upper=1),
        "failure_probability: expected a number, found 'a'": lambda: net.certify(one, failure_probability="a"),
        "time: expected a number, found '5'": lambda: net.bound(one, 0.1, time="5"),
        "up_to: expected a number, found 'a'": lambda: net.largest(one, 1, up_to="a"),
        r"eps: expected a number, found \[0.1\]": lambda: net.distortion(one, [0.1]),
        "population: expected a whole number of at least 2": lambda: net.distortion(one, 0.1, population=1),
        r"extent: expected left, right, bottom and top, found \(0, 1\)": lambda: net.plane(x[0], u, v, extent=(0, 1)),
        "c: expected a number, found None": lambda: net.roll(one, None),
        "gamma: expected a number, found 'most'": lambda: net.roll(one, 1, "most"),
        "network: expected a loclin.Network, found list": lambda: loclin.IntegratedGradients(weights),
        r"layers\[0\]: expected a pair .* found one ndarray": lambda: loclin.from_weights([np.ones((3, 2))]),
        "x: no array of numbers": lambda: net.forward([Unreadable()]),
    }
    for text, question in questions.items():
        with pytest.raises((TypeError, ValueError), match=text):
            question()
    np.testing.assert_array_equal(net.certify(one, np.array(2)).eps["2"], net.certify(one, 2).eps["2"])


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("it is elsewhere")


def test_options_of_files_are_named(evidence):
    data = (evidence / "leaky.onnx").read_bytes()
    size = loclin.from_onnx(data).input_shape[0]
    for options, text in [
        ({"output": 3}, "output: expected the name of a value, found 3"),
        ({"input_shape": 4}, "input_shape: expected the sizes of one input"),
        ({"input_shape": [size + 0.7]}, r"input_shape\[0\]: expected a whole number of at least 1, found"),
        ({"input_shape": [-1]}, r"input_shape\[0\]: expected a whole number of at least 1"),
    ]:
        with pytest.raises((TypeError, ValueError), match=text):
            loclin.from_onnx(data, **options)


def test_tensors_of_pytorch_are_read_wherever_they_are(net):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones(2, 4, requires_grad=True)
    expected = net.forward(np.ones((2, 4)))
    for same in (list(x), [list(row) for row in x], tuple(x), x.to(torch.float8_e4m3fn)):
        np.testing.assert_array_equal(net.forward(same), expected)
    for sparse in (x.to_sparse(), [row.to_sparse() for row in x]):
        with pytest.raises(TypeError, match="x: expected an array or a dense tensor"):
            net.forward(sparse)


def test_one_number_normalises_all_channels(evidence):
    data = (evidence / "leaky.onnx").read_bytes()
    shape = loclin.from_onnx(data).input_shape
    several, x = [0.25, 0.5] * (shape[0] // 2) + [0.75] * (shape[0] % 2), np.ones((1, *shape))
    for one, other in ({"mean": 0.5, "std": several}, {"mean": [0.5] * shape[0], "std": several}), (
        {"mean": several, "std": [0.5]},
        {"mean": several, "std": [0.5] * shape[0]},
    ):
        found, expected = loclin.from_onnx(data, **one), loclin.from_onnx(data, **other)
        assert found.normalization == expected.normalization
        np.testing.assert_array_equal(found.forward(x), expected.forward(x))
