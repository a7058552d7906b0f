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
    with pytest.raises(ValueError, match="first pass"):
        loclin.torch.roll(nn.Sequential(nn.LazyLinear(3), nn.ReLU()), x, 1.0)
    with pytest.raises(loclin.UnsupportedOperator, match="mixes the inputs"):
        loclin.torch.roll(Written(lambda h: torch.stack([row.relu() for row in h])), x, 1.0)
    # Hooks of somebody around it all are theirs.
    with torch.autograd.graph.save_on_cpu():
        loclin.torch.roll(Written(torch.relu), x, 1.0).backward()
