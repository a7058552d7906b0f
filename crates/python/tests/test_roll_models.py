"""The ROLL loss of models that write over their tensors, or are called in other ways than most."""

import gc

import pytest

import loclin

torch = pytest.importorskip("torch", reason="torch is not installed")
nn = torch.nn


class Block(nn.Module):
    """Adds to what stood in front of its activation, in place or not."""

    def __init__(self, in_place):
        super().__init__()
        self.first, self.second, self.in_place = nn.Linear(5, 8), nn.Linear(8, 8), in_place

    def forward(self, x):
        x = x.sub_(0.5).div_(0.5) if self.in_place else (x - 0.5) / 0.5
        h = self.first(x)
        more = self.second(torch.relu(h))
        if not self.in_place:
            return torch.relu(2 * (h + more)).sum(1, keepdim=True)
        h += more
        h.mul_(2)
        return torch.relu_(h).sum(1, keepdim=True)


@pytest.mark.parametrize("exact", [True, False])
def test_what_a_model_writes_over_was_seen_before(exact):
    import loclin.torch

    torch.manual_seed(0)
    plain, in_place = Block(False), Block(True)
    in_place.load_state_dict(plain.state_dict())
    x = torch.rand(6, 5)
    before, found = x.clone(), []
    for model in (plain, in_place):
        loss, output = loclin.torch.roll_with_output(model, x, 1.0, exact=exact, generator=torch.Generator().manual_seed(3))
        # The model's input, too, is a copy of the batch.
        assert torch.equal(x, before)
        loss.backward()
        found.append([loss.detach(), output.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 3
    for own, other in zip(*found):
        torch.testing.assert_close(own, other)


def test_nothing_is_kept():
    import loclin.torch
    from loclin._neurons import Neurons

    model, x = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1)), torch.randn(4, 5)
    gc.collect()
    gc.disable()
    try:
        for exact in (True, False):
            (loclin.torch.roll(model, x, 1.0, exact=exact) + model(x).mean()).backward()
            loclin.torch.roll_with_output(model, x, 1.0, exact=exact)
        # Freed without a search for cycles, of which it sees none through C++.
        assert not [own for own in gc.get_objects() if type(own) is Neurons]
    finally:
        gc.enable()


def by_hand(first, x):
    """Of one layer of neurons: the mean of both terms."""
    z = first(x)
    return (torch.relu(1 - z.abs()) + (first.weight**2).sum(1)).mean()


class Written(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.function = nn.Linear(5, 3), function

    def forward(self, x):
        return self.function(self.first(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda h: sum(torch.relu(part) for part in h.unbind(1)),
        lambda h: torch.cat([h[:, :1].squeeze(1).relu()[:, None], h[:, 1:].relu()], 1),
        lambda h: h.reshape(-1, 1).relu().reshape(len(h), -1),
    ],
)
def test_neurons_of_any_shape_are_seen(function):
    import loclin.torch

    model, x = Written(function), torch.randn(4, 5)
    for inputs in (x, x[:1].expand(4, 5), x.t().contiguous().t()):
        torch.testing.assert_close(loclin.torch.roll(model, inputs, 1.0, exact=True), by_hand(model.first, inputs))


def test_a_default_device_is_not_asked():
    import loclin.torch

    model, x = Written(torch.relu), torch.randn(4, 5)
    torch.set_default_device("meta")
    try:
        torch.testing.assert_close(loclin.torch.roll(model, x, 1.0), by_hand(model.first, x))
    finally:
        torch.set_default_device(None)


def test_parts_that_hide_neurons_are_refused_in_words():
    import loclin.torch
    from torch.utils.checkpoint import checkpoint

    x = torch.randn(4, 5)
    for reentrant, text in ((False, "checkpoint"), (True, "does not show")):
        model = Written(lambda h, own=reentrant: checkpoint(torch.relu, h, use_reentrant=own))
        with pytest.raises(loclin.UnsupportedOperator, match=text):
            loclin.torch.roll(model, x, 1.0)
    hooked = Written(torch.relu)
    hooked.first.register_full_backward_hook(lambda *_: None)
    with pytest.raises(loclin.UnsupportedOperator, match="does not show"):
        loclin.torch.roll(hooked, x, 1.0)
    for lazy in (nn.LazyLinear(3), nn.LazyBatchNorm1d(affine=False)):
        with pytest.raises(ValueError, match="model: 0.* call it once before"):
            loclin.torch.roll(nn.Sequential(lazy, nn.ReLU()), x, 1.0)
    with pytest.raises(loclin.UnsupportedOperator, match="mixes the inputs"):
        loclin.torch.roll(Written(lambda h: torch.stack([row.relu() for row in h])), x, 1.0)
    # Hooks of somebody around it all are theirs.
    with torch.autograd.graph.save_on_cpu():
        loclin.torch.roll(Written(torch.relu), x, 1.0).backward()


@pytest.mark.parametrize(
    ("by_keyword", "by_place"),
    [
        (lambda h: torch.div(other=2.0, input=h), lambda h: h / 2.0),
        (lambda h: torch.amax(h, axis=1, keepdims=True), lambda h: torch.amax(h, 1, True)),
        (lambda h: torch.max(input=h, axis=1).values, lambda h: torch.max(h, 1).values),
        (lambda h: torch.maximum(x1=h, x2=-h), lambda h: torch.maximum(h, -h)),
        (lambda h: torch.dropout(h, p=0.0, train=True), lambda h: h),
        (lambda h: h + torch.cdist(x1=torch.ones(1, 3), x2=torch.zeros(1, 3)), lambda h: h + 3**0.5),
    ],
)
def test_operands_may_be_given_by_keywords(by_keyword, by_place):
    import loclin.torch

    x = torch.randn(4, 5)
    by_keyword, by_place = (Written(lambda h, way=way: torch.relu(way(h))) for way in (by_keyword, by_place))
    by_keyword.load_state_dict(by_place.state_dict())
    for exact in (True, False):
        found, expected = (
            loclin.torch.roll(model, x, 1.0, exact=exact, generator=torch.Generator().manual_seed(0)) for model in (by_keyword, by_place)
        )
        torch.testing.assert_close(found, expected)


class Gated(nn.Module):
    """Mixes inputs as far as its gate is open."""

    def __init__(self):
        super().__init__()
        self.first, self.gate = nn.Linear(5, 4), nn.Parameter(torch.zeros(()))

    def forward(self, x):
        h = self.first(x)
        return torch.relu(h + self.gate * h.mean(0))


@pytest.mark.parametrize("calls", [1, 3, 7])
def test_a_model_that_begins_to_mix_inputs_is_refused(calls):
    import loclin.torch

    model, x = Gated(), torch.randn(4, 5)
    for _ in range(calls):
        loclin.torch.roll(model, x, 1.0)
    model.gate.data.fill_(1.0)
    for _ in range(2):
        with pytest.raises(loclin.UnsupportedOperator, match="mixes the inputs"):
            loclin.torch.roll(model, x, 1.0)


class Counting(nn.Module):
    """Counts its calls in a new buffer each time, and in place past PyTorch's own count of changes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.register_buffer("new", torch.zeros(()))
        self.register_buffer("own", torch.zeros(()))

    def forward(self, x):
        self.new = self.new + 1
        self.own.data += 1
        return torch.relu(self.first(x))


def test_asking_whether_inputs_are_mixed_puts_buffers_back():
    import loclin.torch

    model, x = Counting(), torch.randn(4, 5)
    for calls in (1, 2, 3, 4):
        loclin.torch.roll(model, x, 1.0)
        assert model.new == calls and model.own == calls


def test_what_is_no_module_is_said():
    import loclin.torch

    for roll in (loclin.torch.roll, loclin.torch.roll_with_output):
        with pytest.raises(TypeError, match=r"model: expected a torch\.nn\.Module, found builtin_function"):
            roll(torch.relu, torch.ones(2, 4), 1.0)
        with pytest.raises(TypeError, match="c: expected a number, found None"):
            roll(Counting(), torch.ones(2, 5), None)
        with pytest.raises(TypeError, match=r"generator: expected a torch\.Generator, found int"):
            roll(Counting(), torch.ones(2, 5), 1.0, generator=5)
        for gamma in (None, [50]):
            with pytest.raises((TypeError, ValueError), match="gamma: expected a number in"):
                roll(Counting(), torch.ones(2, 5), 1.0, gamma)
