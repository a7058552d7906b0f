# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # From a PyTorch model to a report
#
# A network made of ReLUs is one affine map around every input. How far does that map hold, which neuron ends it, and what can
# change beyond? Open this file as a notebook with jupytext, or run it as a script.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import loclin
import loclin.torch

torch.manual_seed(0)
folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A model
# Two moons, and a small network. ROLL makes the regions of constant gradient larger while it learns.

# %%
angle = torch.rand(400) * np.pi
upper = torch.stack([angle.cos(), angle.sin()], 1)
lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
points = torch.cat([upper, lower]) + 0.1 * torch.randn(800, 2)
labels = torch.cat([torch.zeros(400), torch.ones(400)]).long()


def trained(weight: float) -> torch.nn.Module:
    """A network trained with `weight` times the ROLL loss."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 24), torch.nn.ReLU(), torch.nn.Linear(24, 24), torch.nn.ReLU(), torch.nn.Linear(24, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(200):
        regulariser, output = loclin.torch.roll_with_output(model, points, c=1.0)
        loss = torch.nn.functional.cross_entropy(output, labels) + weight * regulariser
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


vanilla, roll = (loclin.from_torch(trained(weight), points, exporter="legacy") for weight in (0.0, 0.02))
print(roll.summary())

# %% [markdown]
# ## Certificates
# `eps["2"]` is the radius of each point's ball in which the gradient is constant. Every radius says what is claimed of it.

# %%
certificates = {name: net.certify(points, labels=labels) for name, net in (("vanilla", vanilla), ("ROLL", roll))}
for name, found in certificates.items():
    print(name, f"accuracy {found.accuracy:.1%}", found, sep="\n", end="\n\n")
assert np.median(certificates["ROLL"].eps["2"]) > np.median(certificates["vanilla"].eps["2"])

# %% [markdown]
# ## Beyond the region
# Within twice the margin the gradient may change; by how much at most, and up to which radius by no more than half its length?

# %%
some = points[:5]
radii = 2 * certificates["ROLL"].eps["inf"][:5].max()
bounds = roll.bound(some, radii, parts=1000)
safe = roll.largest(some, change="50%", parts=1000)
print("found ", bounds.found[:, 0], "\nproved", bounds.proved[:, 0], "\nsafe up to", safe.proved)

# %% [markdown]
# ## Attribution
# Integrated gradients are sums over the regions that a segment crosses: exact.

# %%
attribution = loclin.IntegratedGradients(roll).explain(some)
print(attribution.values, "\nno value is further from the exact one than", attribution.errors.max())

# %% [markdown]
# ## Pictures and a report

# %%
certificates["ROLL"].report(folder / "report.html", title="Two moons")
certificates["ROLL"].to_csv(folder / "margins.csv")
try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from loclin import plots

    figure, axes = plt.subplots(1, 3, figsize=(12, 4))
    plots.survival(certificates["vanilla"], axes[0], "vanilla")
    plots.survival(certificates["ROLL"], axes[0], "ROLL")
    plots.regions(roll.plane([0.5, 0.25], [1.0, 0.0], [0.0, 1.0], (-2, 2, -1.5, 1.5)), axes[1])
    plots.bound(roll.bound(some[:1], np.linspace(0.01, 0.5, 8), parts=200), ax=axes[2])
    figure.savefig(folder / "pictures.png")
except ImportError:
    print("without matplotlib no pictures")
print(sorted(path.name for path in folder.iterdir()))
