"""Modules of PyTorch, held to an oracle of automatic differentiation in float64."""

import threading

import numpy as np
import pytest

import loclin

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed, which PyTorch exports modules with")
nn = torch.nn
F = torch.nn.functional


class Block(nn.Module):
    """A residual block of ResNet-18."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.short = None
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.short is None else self.short(x)))


def resnet(width=64, blocks=(2, 2, 2, 2), classes=10):
    """ResNet-18 for `width` 64, its stem without pooling."""
    layers, inputs = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()], width
    for stage, count in enumerate(blocks):
        for number in range(count):
            outputs = width * 2**stage
            layers.append(Block(inputs, outputs, 2 if stage and not number else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def mlp():
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.LeakyReLU(0.1), nn.Linear(32, 4))


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 2 * 2, 5),
    )  # fmt: skip


def prepared(module, shape):
    """The module with statistics and weights of a training's kind, and inputs."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    return module.eval(), torch.rand(shape)


def oracle(module, x, rows=None):
    """Values of the neurons of one input and the gradients of those in `rows`, in float64."""
    module = __import__("copy").deepcopy(module).double().eval()
    kept = []
    hooks = [
        part.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        for part in module.modules()
        if isinstance(part, (nn.ReLU, nn.LeakyReLU))
    ]
    point = x.double()[None].requires_grad_()
    module(point)
    for hook in hooks:
        hook.remove()
    z = torch.cat([values.flatten() for values in kept])
    rows = range(len(z)) if rows is None else rows
    gradients = [torch.autograd.grad(z[int(row)], point, retain_graph=True)[0].flatten() for row in rows]
    return z.detach().numpy(), torch.stack(gradients).numpy()


@pytest.mark.parametrize(("make", "shape"), [(mlp, (5, 12)), (cnn, (1, 2, 10, 10))])
@pytest.mark.parametrize("exporter", ["legacy", None])
def test_small_networks_equal_the_oracle(make, shape, exporter):
    module, x = prepared(make(), shape)
    net = loclin.from_torch(module, x, exporter=exporter)
    found = net.certify(x)
    np.testing.assert_allclose(found.outputs, module.double()(x.double()).detach().numpy(), rtol=1e-9, atol=1e-12)
    for index, point in enumerate(x):
        z, gradients = oracle(module, point)
        for p, q in {"1": np.inf, "2": 2, "inf": 1}.items():
            lengths = np.linalg.norm(gradients, ord=q, axis=1)
            distances = np.divide(np.abs(z), lengths, out=np.full(len(z), np.inf), where=lengths > 0)
            np.testing.assert_allclose(found.eps[p][index], distances.min(), rtol=1e-9)
    assert found.guarantee == "proved"


def test_resnet_18_equals_the_oracle():
    module, x = prepared(resnet(), (1, 3, 64, 64))
    net = loclin.from_torch(module, x, exporter="legacy")
    point = x.double().requires_grad_()
    wide = __import__("copy").deepcopy(module).double()
    output = wide(point)
    gradient = torch.autograd.grad(output[0].max(), point)[0].numpy()
    np.testing.assert_allclose(net(x), output.detach().numpy(), rtol=1e-9)
    np.testing.assert_allclose(net.gradient(x), gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
    found = net.certify(x, norms=(2,), failure_probability=1e-9)
    # Bounds of rounding errors say nothing of so deep a network with random weights.
    assert found.guarantee in ("proved", "probable(1e-9)", "estimate")
    # The limiting neuron's own distance is the radius, and no neuron that is nearer by its value is nearer.
    z, _ = oracle(module, x[0], [0])
    starts = np.cumsum([0] + [node["neurons"] for node in neurons(net)])
    names = [node["name"] for node in neurons(net)]
    at = starts[names.index(found.layer["2"][0])] + found.neuron["2"][0]
    some = np.unique(np.concatenate([[at], np.argsort(np.abs(z))[:60]]))
    z, gradients = oracle(module, x[0], some)
    lengths = np.linalg.norm(gradients, axis=1)
    distances = np.divide(np.abs(z[some]), lengths, out=np.full(len(some), np.inf), where=lengths > 0)
    # The nearest value is a millionth: of it, the rounding of sums of thousands of terms near 1 is more than of the sums.
    np.testing.assert_allclose(found.eps["2"][0], distances.min(), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.eps["2"][0], distances[list(some).index(at)], rtol=1e-9, atol=1e-11)


def neurons(net):
    counts = dict(net._native.neurons({"threads": None, "progress": None}))
    return [
        {"name": node["name"], "neurons": counts[index]} for index, node in enumerate(net._nodes) if index in counts
    ]


def test_modules_are_left_as_they_were():
    module, x = prepared(cnn(), (2, 2, 10, 10))
    module.train()
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    loclin.from_torch(module, x, exporter="legacy")
    assert module.training and not module[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert next(module.parameters()).dtype == torch.float32


def test_nodes_have_the_names_of_modules():
    module, x = prepared(mlp(), (2, 12))
    default, legacy = (loclin.from_torch(module, x, exporter=name) for name in ("default", "legacy"))
    assert "1" in default.certify(x).layer["2"].tolist() + ["1"]
    np.testing.assert_array_equal(default.certify(x).eps["2"], legacy.certify(x).eps["2"])


def test_what_cannot_be_read_is_said():
    smooth = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    with pytest.raises(loclin.UnsupportedOperator, match="Tanh"):
        loclin.from_torch(smooth, torch.zeros(1, 3), exporter="legacy")
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        loclin.from_torch(lambda x: x, torch.zeros(1, 3))
    with pytest.raises(ValueError, match="exporter"):
        loclin.from_torch(smooth, torch.zeros(1, 3), exporter="other")
    with pytest.raises(loclin.ModelError, match="cannot be exported"):
        loclin.from_torch(smooth, torch.zeros(1, 5), exporter="legacy")


def test_a_softmax_is_left_out_with_a_warning():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(1))
    with pytest.warns(loclin.LoclinWarning, match="without"):
        loclin.from_torch(module, torch.zeros(1, 3), exporter="legacy")


def test_tensors_in_and_out():
    module, x = prepared(mlp(), (3, 12))
    net = loclin.from_torch(module, x, exporter="legacy")
    gradient = net.gradient(x.requires_grad_(), target=torch.tensor([0, 1, 2]), out="torch")
    assert isinstance(gradient, torch.Tensor) and gradient.dtype == torch.float64 and gradient.shape == x.shape
    np.testing.assert_array_equal(net.certify(x.bfloat16()).eps["2"], net.certify(x.bfloat16().float()).eps["2"])
    assert isinstance(net(x, out="torch"), torch.Tensor)
    with pytest.raises(ValueError, match="out"):
        net(x, out="jax")


def test_normalisation_in_front_of_a_module():
    module, x = prepared(cnn(), (2, 2, 10, 10))
    net = loclin.from_torch(module, x, mean=[0.5, 0.4], std=[0.2, 0.3], exporter="legacy")
    mean, std = (torch.tensor(numbers, dtype=torch.float64).reshape(2, 1, 1) for numbers in ([0.5, 0.4], [0.2, 0.3]))
    expected = module.double()((x.double() - mean) / std).detach().numpy()
    np.testing.assert_allclose(net(x), expected, rtol=1e-9)


class Branch(nn.Module):
    def forward(self, x):
        return torch.relu(x - 1) * (2 if x.mean() > 0 else 1)


class Read(nn.Module):
    def forward(self, x):
        return torch.relu(x) * float(x.detach().numpy().max())


class Mixed(nn.Module):
    def forward(self, x):
        return torch.relu(x - x.mean(0, keepdim=True)) + x


class Noisy(nn.Module):
    def forward(self, x):
        return F.dropout(torch.relu(x), 0.5)


@pytest.mark.parametrize("make", [Branch, Read, Mixed, Noisy])
def test_a_module_that_is_not_its_export_is_refused(make):
    with pytest.raises((loclin.ModelError, loclin.UnsupportedOperator)):
        loclin.from_torch(make().double(), torch.full((1, 3), -1.0))


class Holed(nn.Module):
    """No number at 0, where its export has one."""

    def forward(self, x):
        return torch.relu(x) if x.detach().abs().sum() > 0 else x * float("nan")


def test_what_is_no_number_is_no_output_of_a_network():
    with pytest.raises(loclin.ModelError, match="output 0 is nan"):
        loclin.from_torch(Holed().double(), torch.ones(1, 3), exporter="legacy")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e38])
def test_of_an_example_the_shape_counts(number):
    module = mlp().double()
    net = loclin.from_torch(module, torch.full((2, 12), number), exporter="legacy")
    x = torch.rand(3, 12, dtype=torch.float64)
    np.testing.assert_allclose(net(x), module(x).detach().numpy(), rtol=1e-9)


class Biased(nn.LeakyReLU):
    def forward(self, x):
        return super().forward(x - 1)


def test_parts_of_ones_own_are_exported_as_they_compute():
    hooked = nn.LeakyReLU(0.25)
    hooked.register_forward_pre_hook(lambda _, inputs: (inputs[0] - 1,))
    for part in (Biased(0.25), hooked):
        net = loclin.from_torch(part.double(), torch.zeros(1, 2))
        x = torch.tensor([[3.0, 5.0]], dtype=torch.float64)
        np.testing.assert_array_equal(net(x), part(x).numpy())
        assert 2 - 1e-12 < net.certify(x, 2).eps["2"][0] <= 2


class Scaled(nn.Module):
    """It reads a number of another module."""

    def __init__(self):
        super().__init__()
        self.part = nn.LeakyReLU(0.1)

    def forward(self, x):
        return self.part(x) * self.part.negative_slope


def test_slopes_that_a_module_reads_are_not_rounded_to_float32():
    module = Scaled().double()
    net = loclin.from_torch(module, torch.zeros(1, 2))
    x = torch.tensor([[3.0, -5.0]], dtype=torch.float64)
    np.testing.assert_allclose(net(x), module(x).numpy(), rtol=1e-15)


class Shifted(nn.Module):
    def forward(self, x):
        return torch.relu(x - 0.3)


def test_numbers_of_a_module_are_not_rounded_to_float32():
    net = loclin.from_torch(Shifted().double(), torch.zeros(1, 1))
    assert 0.3 - 1e-12 < net.certify([[0.0]], 2).eps["2"][0] <= 0.3
    norm = nn.BatchNorm1d(1).double().eval()
    norm.running_var.zero_()
    norm.bias.data.fill_(-1)
    radius = loclin.from_torch(nn.Sequential(norm, nn.ReLU()), torch.zeros(1, 1)).certify([[1.0]], 2).eps["2"][0]
    assert 1 - 1e-5**0.5 - 1e-12 < radius <= 1 - 1e-5**0.5 + 1e-15
    assert norm.eps == 1e-5 and norm.running_var.item() == 0
    with pytest.warns(loclin.LoclinWarning, match="float32"):
        loclin.from_torch(nn.Threshold(0.3, 0.3).double(), torch.zeros(1, 1))


def test_what_a_module_raises_is_said():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("no such table: prices")

    class Two(nn.Module):
        def forward(self, x):
            return torch.relu(x), x

    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for module, example, needle in [
        (Broken(), torch.zeros(2, 4), "no such table: prices"),
        (Two(), torch.zeros(2, 4), "a result that is a tuple"),
        (net, torch.zeros(2, 5), r"shape \[1, 5\]"),
    ]:
        with pytest.raises(loclin.ModelError, match=needle) as caught:
            loclin.from_torch(module, example)
        assert "\x1b" not in str(caught.value)
    with pytest.raises(TypeError, match="one tensor"):
        loclin.from_torch(net, (torch.zeros(2, 4), torch.zeros(2, 4)))


class StepsFirst(nn.Module):
    """A recurrence in PyTorch's own layout, [steps, batch, features]."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.RNN(3, 5, nonlinearity="relu"), nn.Linear(5, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0][-1])


class Points(nn.Module):
    """A sum over all inputs, of any number of rows."""

    def __init__(self, rows):
        super().__init__()
        self.a, self.b, self.rows = nn.Linear(3, 6), nn.Linear(6, 2), rows

    def forward(self, x):
        total = self.b(F.relu(self.a(x)).sum(0))
        return total if self.rows is None else total.expand(self.rows, 2)


@pytest.mark.parametrize(
    ("module", "shape"), [(StepsFirst(), (6, 1, 3)), (Points(None), (10, 3)), (Points(1), (10, 3)), (Points(7), (10, 3))]
)
def test_modules_without_a_row_for_each_input_are_refused(module, shape):
    with pytest.raises(loclin.ModelError, match=r"has no row for each.*mixes the first dimension"):
        loclin.from_torch(module, torch.randn(shape))


class Headed(nn.Module):
    """A chain with something behind its logits, and a jump of them where an input is large."""

    def __init__(self, head, logits=12, jump=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.head, self.jump = nn.Linear(4, 16), nn.Linear(16, logits), head, jump

    def logits(self, x):
        z = self.b(torch.relu(self.a(x)))
        return z * self.jump if x.abs().max() > 2 else z

    def forward(self, x):
        return self.head(self.logits(x))


def of_two(z):
    p = torch.sigmoid(z)
    return torch.cat([1 - p, p], 1)


#: What may stand behind so many logits, which the network is read without.
HEADS = {
    "softmax": (lambda z: z.softmax(1), 12),
    "log_softmax": (lambda z: z.log_softmax(-1), 12),
    "softmax of channels": (lambda z: z.reshape(-1, 3, 2, 2).softmax(1), 12),
    "softmax of rows": (lambda z: z.reshape(-1, 3, 2, 2).softmax(3), 12),
    "flat softmax of channels": (lambda z: z.reshape(-1, 3, 2, 2).softmax(1).flatten(1), 12),
    "sigmoid": (torch.sigmoid, 1),
    "sigmoids": (torch.sigmoid, 3),
    "squeezed sigmoid": (lambda z: torch.sigmoid(z).squeeze(-1), 1),
    "two classes": (of_two, 1),
    "twice": (lambda z: torch.sigmoid(z).softmax(1), 12),
    "in float32": (lambda z: z.softmax(1).float(), 12),
    "in float16": (lambda z: z.softmax(1).half(), 12),
}
LABELS = {
    "argmax": (lambda z: z.argmax(1), 12),
    "argmax of channels": (lambda z: z.reshape(-1, 3, 2, 2).argmax(1), 12),
    "argmax of softmax": (lambda z: z.softmax(1).argmax(1, keepdim=True).float(), 12),
}


@pytest.mark.parametrize("scale", [1.0, 300.0])
@pytest.mark.parametrize("name", [*HEADS, *LABELS])
def test_modules_are_taken_with_what_is_left_out_behind_the_logits(name, scale):
    head, logits = {**HEADS, **LABELS}[name]

    class Plain(Headed):
        def logits(self, x):
            return scale * self.b(torch.relu(self.a(x)))

    module = Plain(head, logits)
    with pytest.warns(loclin.LoclinWarning) as said:
        net = loclin.from_torch(module, torch.rand(1, 4), exporter="legacy")
    x = torch.randn(5, 4, dtype=torch.float64)
    np.testing.assert_allclose(net(x), module.double().logits(x).detach().numpy(), rtol=1e-9, atol=1e-12)
    labels = [str(note.message) for note in said if "have the same labels" in str(note.message)]
    assert len(labels) == (name in LABELS) and len(said) == 1 + len(labels)


@pytest.mark.parametrize("name", HEADS)
def test_another_function_in_front_of_what_is_left_out_is_refused(name):
    with pytest.raises(loclin.ModelError, match="by the exported network"):
        loclin.from_torch(Headed(*HEADS[name], jump=1.5), torch.zeros(1, 4), exporter="legacy")


def test_other_labels_are_refused_and_other_logits_are_not_called_equal():
    with pytest.raises(loclin.ModelError, match="labels are others"):
        loclin.from_torch(Headed(*LABELS["argmax"], jump=-1.0), torch.zeros(1, 4), exporter="legacy")
    with pytest.warns(loclin.LoclinWarning, match="have the same labels at the inputs that were tried, which other logits"):
        loclin.from_torch(Headed(*LABELS["argmax"], jump=3.0), torch.zeros(1, 4), exporter="legacy")


class Rounded(Headed):
    """Rounds in front of its logits."""

    def __init__(self, head, logits, dtype):
        super().__init__(head, logits)
        self.dtype = dtype

    def logits(self, x):
        return self.b(torch.relu(self.a(x)).to(self.dtype).to(x.dtype))


def test_rounding_in_front_of_what_is_left_out_is_said():
    for name in ("softmax", "log_softmax", "sigmoids", "two classes"):
        with pytest.warns(loclin.LoclinWarning, match="outputs differ from the module's by up to"):
            loclin.from_torch(Rounded(*HEADS[name], torch.float32), torch.zeros(1, 4), exporter="legacy")
        with pytest.raises(loclin.ModelError, match="by the exported network"):
            loclin.from_torch(Rounded(*HEADS[name], torch.bfloat16), torch.zeros(1, 4), exporter="legacy")


class OfItsBatch(Headed):
    def logits(self, x):
        return self.b(torch.relu(self.a(x))) * x.shape[0]


def test_a_factor_of_the_batch_is_seen_behind_a_softmax():
    with pytest.raises(loclin.ModelError, match="in a batch of"):
        loclin.from_torch(OfItsBatch(*HEADS["softmax"]), torch.zeros(1, 4), exporter="legacy")


def test_modules_without_numbers_are_refused():
    for lazy, name in ((nn.LazyLinear(3), "0.weight"), (nn.LazyBatchNorm1d(affine=False), "0.running_mean")):
        module = nn.Sequential(lazy, nn.ReLU())
        with pytest.raises(ValueError, match=f"module: {name} has no numbers .* call it once before"):
            loclin.from_torch(module, torch.ones(1, 4))
    module = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    module(torch.ones(2, 4))
    x = torch.randn(2, 4)
    np.testing.assert_allclose(loclin.from_torch(module, x)(x), module(x).detach().numpy(), atol=1e-6)


class InPlace(nn.Module):
    """Normalises its input where it stands."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return torch.relu(self.layer(x.sub_(0.5).div_(0.25)))


@pytest.mark.parametrize("first", [InPlace(), nn.ReLU(inplace=True), nn.LeakyReLU(0.5, inplace=True), nn.Hardtanh(inplace=True)])
def test_modules_may_write_over_their_inputs(first):
    module = nn.Sequential(first, nn.ReLU()).double()
    example = torch.full((1, 4), -1.0, dtype=torch.float64)
    net = loclin.from_torch(module, example, exporter="legacy")
    assert (example == -1).all() and not module._forward_pre_hooks
    x = torch.randn(5, 4, dtype=torch.float64)
    np.testing.assert_allclose(net(x), module(x.clone()).detach().numpy(), rtol=1e-12)


class Uncopyable(nn.Module):
    """Counts its calls, in place and in new buffers."""

    def __init__(self):
        super().__init__()
        self.layer, self.lock = nn.Linear(4, 3), threading.Lock()
        self.register_buffer("own", torch.zeros(()))
        self.register_buffer("new", torch.zeros(()))

    def forward(self, x):
        self.own += 1
        self.new = self.new + 1
        return torch.relu(self.layer(x))


def test_what_cannot_be_copied_is_left_as_it_was():
    module = Uncopyable()
    buffers = dict(module.named_buffers())
    with pytest.warns(loclin.LoclinWarning, match="cannot be copied"):
        loclin.from_torch(module, torch.ones(1, 4), exporter="legacy")
    assert module.own == 0 and module.new == 0 and module.training
    assert all(buffer is buffers[name] for name, buffer in module.named_buffers())


def test_notes_are_of_the_line_that_asked():
    with pytest.warns(loclin.LoclinWarning) as said:
        loclin.from_torch(Headed(*LABELS["argmax"], jump=3.0), torch.zeros(1, 4), exporter="legacy")
        loclin.from_torch(Uncopyable(), torch.zeros(1, 4), exporter="legacy")
        net = loclin.from_torch(nn.Linear(4, 1), torch.zeros(1, 4))
        loclin.IntegratedGradients(net).attribute(np.ones((1, 4), np.uint8))
    assert len(said) == 4 and {note.filename for note in said} == {__file__}
