"""The ROLL loss of PyTorch, held to Rust's values."""

import numpy as np
import pytest

import loclin

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed, which PyTorch exports modules with")
nn = torch.nn


def modules():
    torch.manual_seed(0)
    pooled = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        nn.Flatten(), nn.Linear(16, 5), nn.PReLU(5), nn.Linear(5, 3),
    )  # fmt: skip
    pooled[1].running_mean.uniform_(-0.3, 0.3)
    plain = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.LeakyReLU(0.2), nn.Linear(12, 3))
    clipped = nn.Sequential(nn.Linear(6, 12), nn.Hardtanh(-0.5, 0.5), nn.Linear(12, 6), nn.ReLU6(), nn.Linear(6, 2))
    return {"plain": (plain, (7, 6)), "pooled": (pooled, (4, 1, 4, 4)), "clipped": (clipped, (5, 6))}


@pytest.mark.parametrize("name", ["plain", "pooled", "clipped"])
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
    before = module[1].running_mean.clone()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = loclin.torch.roll(module.train(), x, c=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert torch.equal(module[1].running_mean, before) and losses[-1] < losses[0]


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
