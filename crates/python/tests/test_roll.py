"""The ROLL loss of PyTorch, held to Rust's values."""

import numpy as np
import pytest

import loclin

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed, which PyTorch exports modules with")
nn, F = torch.nn, torch.nn.functional


def modules():
    torch.manual_seed(0)
    pooled = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(16, 5), nn.PReLU(5), nn.Linear(5, 3),
    )  # fmt: skip
    pooled[1].running_mean.uniform_(-0.3, 0.3)
    plain = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.LeakyReLU(0.2), nn.Linear(12, 3))
    clipped = nn.Sequential(nn.Linear(6, 12), nn.Hardtanh(-0.5, 0.5), nn.Linear(12, 6), nn.ReLU6(), nn.Linear(6, 2))
    along = nn.Sequential(
        nn.Conv1d(2, 3, 3, padding=1), nn.MaxPool1d(3, 2, ceil_mode=True), nn.AdaptiveMaxPool1d(2), nn.Flatten(), nn.Linear(6, 2)
    )
    solid = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.MaxPool3d(2), nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(2, 2))
    return {
        "plain": (plain, (7, 6)), "pooled": (pooled, (4, 1, 4, 4)), "clipped": (clipped, (5, 6)), "over one": (along, (5, 2, 8)),
        "over three": (solid, (3, 1, 4, 4, 4)), "of several": (Largest(), (5, 2, 6)),
    }  # fmt: skip


class Largest(nn.Module):
    """Of several numbers, and over dimensions."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(6, 8)

    def forward(self, x):
        h = torch.minimum(torch.maximum(self.a(x), self.b(x)), self.a.bias)
        least, _ = h.min(1)
        h = torch.max(h, -h) - torch.min(h, self.a.bias)
        return torch.cat([h.amax(2), h.max(dim=2, keepdim=True).values[..., 0], least, torch.amax(h, (1, 2), keepdim=True).flatten(1)], 1)


@pytest.mark.parametrize("name", ["plain", "pooled", "clipped", "over one", "over three", "of several"])
@pytest.mark.parametrize("gamma", [100.0, 30.0, "max"])
def test_values_are_those_of_rust(name, gamma):
    import loclin.torch

    module, shape = modules()[name]
    module = module.double().eval()
    x = torch.randn(shape, dtype=torch.float64)
    net = loclin.from_torch(module, x, exporter="legacy")
    own, output = loclin.torch.roll_with_output(module, x, c=0.5, gamma=gamma, exact=True)
    np.testing.assert_allclose(own.item(), net.roll(x, 0.5, gamma), rtol=1e-10)
    np.testing.assert_allclose(output.detach().numpy(), net(x), rtol=1e-10)


@pytest.mark.parametrize("size", [3, (2, 5), (None, 4)])
def test_windows_of_adaptive_pools_may_differ(size):
    import loclin.torch

    x = torch.randn(3, 2, 7, 6, dtype=torch.float64)
    pool = nn.AdaptiveMaxPool2d(size)
    value, output = loclin.torch.roll_with_output(pool, x, 0.5, exact=True)
    assert value > 0
    torch.testing.assert_close(output, pool(x))
    pool = nn.MaxPool2d(3, 2, (1, 0), (1, 2), ceil_mode=True)
    torch.testing.assert_close(loclin.torch.roll_with_output(pool, x, 0.5, exact=True)[1], pool(x))


def test_derivatives_are_those_of_differences():
    import loclin.torch

    module, shape = modules()["plain"]
    module, x = module.double(), torch.randn(shape, dtype=torch.float64)
    loss = loclin.torch.roll(module, x, c=0.5)
    loss.backward()
    weight, step = module[2].weight, 1e-6
    for at in ((0, 0), (3, 7), (11, 2)):
        with torch.no_grad():
            values = []
            for sign in (1, -1):
                weight[at] += sign * step
                values.append(loclin.torch.roll(module, x, c=0.5).item())
                weight[at] -= sign * step
        assert abs((values[0] - values[1]) / (2 * step) - weight.grad[at].item()) < 1e-6


def test_one_direction_is_right_in_the_mean():
    import loclin.torch

    module, shape = modules()["pooled"]
    x = torch.randn(shape)
    exact = loclin.torch.roll(module.eval(), x, c=0.5, exact=True).item()
    generator = torch.Generator().manual_seed(1)
    draws = [loclin.torch.roll(module, x, 0.5, exact=False, generator=generator).item() for _ in range(400)]
    assert abs(np.mean(draws) - exact) < 5 * np.std(draws) / 20


def test_training_leaves_running_statistics_alone_and_learns():
    import loclin.torch

    module, shape = modules()["pooled"]
    x = torch.randn((16, *shape[1:]))
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = loclin.torch.roll(module.train(), x, c=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("exact", [True, False])
def test_the_pass_of_the_task_moves_running_statistics(exact):
    import loclin.torch

    module, shape = modules()["pooled"]
    x = torch.randn((16, *shape[1:])) * 3 + 5
    plain = __import__("copy").deepcopy(module).train()
    for _ in range(3):
        plain(x)
        _, output = loclin.torch.roll_with_output(module.train(), x, c=1.0, exact=exact)
    for name, buffer in module.named_buffers():
        torch.testing.assert_close(buffer, plain.get_buffer(name))
    torch.testing.assert_close(output, plain(x))


class Written(nn.Module):
    """A chain whose ReLU is written as `function`."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second, self.function = nn.Linear(4, 8), nn.Linear(8, 3), function

    def forward(self, x):
        return self.second(torch.relu(self.function(self.first(x) * 2 - 0.1)))


def overwritten(h):
    h.clamp_(min=0)
    return h


WAYS = [
    nn.ReLU(), nn.ReLU(inplace=True), lambda h: h.clip(min=0), overwritten, lambda h: torch.clamp_min(h, 0),
    lambda h: -torch.clamp(-h, max=0), lambda h: torch.threshold(h, 0, 0), lambda h: F.leaky_relu_(h, 0.0),
]  # fmt: skip


def test_a_relu_is_the_same_however_it_is_written():
    import loclin.torch

    x = torch.randn(16, 4)
    own = {index: loclin.torch.roll(Written(way), x, 1.0).item() for index, way in enumerate(WAYS)}
    np.testing.assert_allclose(list(own.values()), own[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gt", lambda h: torch.where(h > 0, h, torch.zeros_like(h))), ("gt", lambda h: h * (h > 0)),
        ("mul", lambda h: h * h), ("atan", torch.atan), ("selu", torch.selu), ("tanh_", lambda h: h.tanh_()),
        ("norm", lambda h: h / h.norm(dim=1, keepdim=True)), ("threshold", lambda h: torch.threshold(h, 0.5, 0)),
        ("truediv|rdiv|reciprocal", lambda h: 1 / (h.abs() + 1)), ("amax", lambda h: h - h.amax(0)),
        ("whole batch", lambda h: h - h.max()), ("whole batch", lambda h: h - h.max(0)[0]),
        ("their indices", lambda h: h * h.max(1)[1]), ("their indices", lambda h: h.gather(1, h.max(1, keepdim=True).indices)),
        ("their indices", lambda h: h[:, h.min(1).indices]), ("their indices", lambda h: h * h.max(1).indices.float()),
        ("logaddexp", lambda h: torch.logaddexp(h, -h)),
        ("__float__", lambda h: h * float(h.sum())), ("item", lambda h: h * h.sum().item()),
    ],
)  # fmt: skip
def test_what_may_hide_a_neuron_is_refused(name, function):
    import loclin.torch

    with pytest.raises(loclin.UnsupportedOperator, match=name):
        loclin.torch.roll(Written(function), torch.randn(16, 4), 1.0)


def test_what_is_no_such_model_is_said():
    import loclin.torch

    x = torch.zeros(2, 3)
    with pytest.raises(loclin.UnsupportedOperator, match="sigmoid"):
        loclin.torch.roll(nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), x, c=1)
    with pytest.raises(ValueError, match="no neurons"):
        loclin.torch.roll(nn.Linear(3, 2), x, c=1)
    relu = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    for options in ({"c": -1}, {"c": 1, "gamma": 0}, {"c": 1, "gamma": "most"}, {"c": 1, "gamma": 50, "exact": False}):
        with pytest.raises(ValueError):
            loclin.torch.roll(relu, x, **options)


def test_gradients_reach_what_stands_before_the_model():
    import loclin.torch

    torch.manual_seed(1)
    before, model = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    x, labels = torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1])
    _, output = loclin.torch.roll_with_output(model, before(x), 1.0)
    F.cross_entropy(output, labels).backward()
    own = before.weight.grad.clone()
    before.weight.grad = None
    F.cross_entropy(model(before(x)), labels).backward()
    torch.testing.assert_close(own, before.weight.grad)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda h: h * (h.data > 0),
        lambda h: h * (h.new_tensor(h) > 0),
        lambda h: h + h.to(torch.int64),
        lambda h: torch.div(h, 0.5, rounding_mode="floor"),
        lambda h: h + (h.data.round() - h.data),
    ],
)
def test_what_hides_neurons_is_refused(hidden):
    import loclin.torch

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x):
            return hidden(self.layer(x)).relu()

    with pytest.raises(loclin.UnsupportedOperator):
        loclin.torch.roll(Hidden(), torch.randn(2, 3), 0.5)


def test_dropout_has_one_mask_for_all_axes():
    import loclin.torch

    first, second = nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        first.weight.fill_(1.0)
        second.weight.fill_(1.0)
    model = nn.Sequential(first, nn.Dropout(0.5), second, nn.ReLU()).train()
    found = {round(loclin.torch.roll(model, torch.ones(1, 2), 0.0).item(), 6) for _ in range(40)}
    assert found == {0.0, 8.0}


class Noisy(nn.Module):
    """With noise for each input that is drawn here."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.first, self.last = draw, nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = self.first(x)
        return self.last(torch.relu(h * self.draw(h) if self.training else h))


def noisy_with(model, noise):
    fixed = Noisy(lambda h: noise)
    fixed.load_state_dict(model.state_dict())
    return fixed


@pytest.mark.parametrize(
    "draw", [torch.randn_like, lambda h: torch.empty(h.shape[0], 1).bernoulli_(0.5), lambda h: torch.rand(h.shape[0], 1)]
)
def test_noise_of_ones_own_is_refused_for_axes(draw):
    import loclin.torch

    model, x = Noisy(draw), torch.randn(3, 5)
    with pytest.raises(loclin.UnsupportedOperator, match="random numbers for each row"):
        loclin.torch.roll(model, x, 0.5, exact=True)
    assert loclin.torch.roll(model, x, 0.5, exact=False).isfinite()
    assert loclin.torch.roll(model.eval(), x, 0.5, exact=True).isfinite()


def test_noise_for_weights_is_that_of_one_network():
    import loclin.torch

    model, x = Noisy(lambda h: torch.randn(4)), torch.randn(3, 5)
    state = torch.random.get_rng_state()
    own = loclin.torch.roll(model, x, 0.5, exact=True)
    torch.random.set_rng_state(state)
    noise = torch.randn(4)
    assert torch.equal(own, loclin.torch.roll(noisy_with(model, noise), x, 0.5, exact=True))


class Between(nn.Module):
    """Two layers and what stands between them."""

    def __init__(self, between):
        super().__init__()
        self.between, self.first, self.last = between, nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.between(self.first(x)))


@pytest.mark.parametrize(
    "mix",
    [
        lambda h: h - h.mean(0), lambda h: h + h.roll(1, 0), lambda h: h + h.roll(2, 0), lambda h: h[torch.tensor([1, 0, 2, 3, 4])],
        lambda h: h - h[-1:], lambda h: h.flip(0).cumsum(0), lambda h: h - h[:1],
    ],
)  # fmt: skip
def test_models_that_mix_inputs_are_refused(mix):
    import loclin.torch

    for exact in (True, False):
        with pytest.raises(loclin.UnsupportedOperator, match="mixes the inputs"):
            loclin.torch.roll(Between(lambda h: torch.relu(mix(h))), torch.randn(5, 5), 0.5, exact=exact)


def test_parts_of_an_input_may_stand_in_the_first_dimension():
    import loclin.torch

    torch.manual_seed(1)
    model = Between(lambda h: torch.relu(h.reshape(-1, 2)).reshape(h.shape)).double()
    plain = Between(torch.relu).double()
    plain.load_state_dict(model.state_dict())
    x = torch.randn(5, 5, dtype=torch.float64)
    for gamma in (100.0, 30.0, "max"):
        own, other = (loclin.torch.roll(net, x, 0.7, gamma, exact=True).item() for net in (model, plain))
        np.testing.assert_allclose(own, other, rtol=1e-12)
    with pytest.raises(loclin.UnsupportedOperator, match="something else than the batch in the first dimension"):
        loclin.torch.roll(Between(lambda h: torch.relu(h.T).T), x.float(), 0.7)


def test_numbers_that_are_none_are_not_taken_for_mixing():
    import loclin.torch

    model, x = Between(torch.relu), torch.randn(5, 5)
    with torch.no_grad():
        model.first.weight[0, 0] = torch.nan
    assert loclin.torch.roll(model, x, 0.5).isnan()
    with torch.no_grad():
        model.first.weight[0, 0] = 1.0
    assert loclin.torch.roll(model, x, 0.5).isfinite()


def test_functions_that_are_not_shown_are_refused():
    import loclin.torch

    @torch.jit.script
    def scripted(h: torch.Tensor) -> torch.Tensor:
        return torch.relu(h)

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h):
            ctx.save_for_forward(h)
            return h.clamp_min(0)

        @staticmethod
        def jvp(ctx, tangent):
            return tangent * (ctx.saved_tensors[0] > 0)

    for hidden in (scripted, Own.apply, lambda h: torch.relu(h) + scripted(h)):
        with pytest.raises(loclin.UnsupportedOperator, match="does not show"):
            loclin.torch.roll(Between(hidden), torch.randn(3, 5), 0.5)
    with pytest.raises(loclin.UnsupportedOperator, match="does not show"):
        loclin.torch.roll(torch.jit.script(nn.Sequential(nn.Linear(5, 4), nn.ReLU())), torch.randn(3, 5), 0.5)


def test_asking_a_model_whether_it_mixes_inputs_changes_nothing():
    import loclin.torch

    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    spectral = nn.utils.parametrizations.spectral_norm(model[0])
    before = {name: buffer.clone() for name, buffer in spectral.named_buffers()}
    state = torch.random.get_rng_state()
    loclin.torch._check_rows(model, torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(buffer, before[name]) for name, buffer in spectral.named_buffers())
    assert model[1].num_batches_tracked == 0 and not model[1].running_mean.any()


@pytest.mark.parametrize("low, high", [(-1, 1), (-1.0, 1.0), (-0.5, 2), ("each", "each")])
def test_a_clamp_is_the_same_however_its_ends_are_written(low, high):
    import loclin.torch

    if low == "each":
        low, high = torch.linspace(-1, -0.5, 8).double(), torch.linspace(0.5, 1, 8).double()

    class Clamped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.last(self.first(3 * x).clamp(low, high))

    torch.manual_seed(2)
    model, x = Clamped().double().eval(), torch.randn(6, 5, dtype=torch.float64)
    own = loclin.torch.roll(model, x, 0.7, exact=True).item()
    np.testing.assert_allclose(own, loclin.from_torch(model, x).roll(x, 0.7), rtol=1e-10)


def test_threads_take_turns():
    import threading

    import loclin.torch

    module, shape = modules()["plain"]
    x = torch.randn(shape)
    expected, found = loclin.torch.roll(module, x, 0.5).item(), []
    work = [threading.Thread(target=lambda: found.extend(loclin.torch.roll(module, x, 0.5).item() for _ in range(20))) for _ in range(2)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(found) == 40 and max(abs(value - expected) for value in found) < 1e-6


def test_numbers_that_are_none_are_refused():
    import loclin.torch

    module, shape = modules()["plain"]
    with pytest.raises(ValueError, match="finite"):
        loclin.torch.roll(module, torch.zeros(shape), float("inf"))
    with pytest.raises(TypeError, match="tensor"):
        loclin.torch.roll(module, np.zeros(shape), 0.5)
