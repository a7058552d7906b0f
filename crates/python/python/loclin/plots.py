"""Pictures of results by matplotlib, where it is installed. Every function draws on ``ax``, or a new figure, and returns it."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

from ._arrays import Floats, array
from .results import Bounds, Certificates


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def survival(certificates: Certificates, ax: Any = None, label: str = "") -> Any:
    """For each norm, the share of inputs whose gradient is constant within a radius: radii on a logarithmic axis."""
    ax = _axes(ax)
    for p, radii in certificates.eps.items():
        finite = np.sort(radii[np.isfinite(radii) & (radii > 0)])
        if len(finite) == 0:
            continue
        # At a radius, all inputs with a larger one are left.
        larger = len(radii) - np.searchsorted(np.sort(radii), finite, side="right")
        ax.step(finite, larger / len(radii), where="post", label=f"{label} l{p}".strip())
    ax.set(xscale="log", ylim=(0, 1), xlabel="radius", ylabel="share of inputs")
    ax.set_title(f"gradient constant within the radius ({certificates.guarantee})")
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
    return ax


def attribution(values: Any, ax: Any = None, eps: Optional[float] = None) -> Any:
    """One attribution ``[H, W]`` or ``[C, H, W]`` (channels are summed), blue for positive and red for negative, with the radius
    within which the gradient is constant."""
    ax = _axes(ax)
    picture = array(values, "values").astype(np.float64)
    if picture.ndim == 3:
        picture = picture.sum(0)
    if picture.ndim != 2:
        raise ValueError(f"values: expected [H, W] or [C, H, W], found {list(np.shape(values))}")
    largest = float(np.abs(picture).max()) or 1.0
    ax.imshow(picture, cmap="RdBu", vmin=-largest, vmax=largest)
    ax.set_axis_off()
    if eps is not None:
        ax.set_title(f"gradient constant within {eps:.3g}")
    return ax


def regions(polygons: Sequence[Floats], ax: Any = None, seed: int = 0) -> Any:
    """The regions of a plane (:meth:`loclin.Network.plane`), each in a colour of its own."""
    from matplotlib.collections import PolyCollection

    ax = _axes(ax)
    colours = np.random.default_rng(seed).uniform(0.35, 0.95, (len(polygons), 3))
    ax.add_collection(PolyCollection(list(polygons), facecolors=colours, edgecolors="black", linewidths=0.4))
    ax.autoscale_view()
    ax.set(xlabel="u", ylabel="v", aspect="equal")
    return ax


def bound(bounds: Bounds, index: int = 0, ax: Any = None) -> Any:
    """What is found and what is proved of one input, by the radius of the ball; the margin is marked."""
    ax = _axes(ax)
    ax.plot(bounds.eps, bounds.proved[index], marker="v", label=bounds.guarantee)
    ax.plot(bounds.eps, bounds.found[index], marker="^", label="found")
    ax.fill_between(bounds.eps, bounds.found[index], bounds.proved[index], alpha=0.2)
    ax.axvline(bounds.margin[index], linestyle=":", color="grey", label="margin")
    ax.set(xlabel="radius", ylabel=bounds.what)
    ax.legend()
    return ax
