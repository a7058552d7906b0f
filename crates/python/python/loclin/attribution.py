"""Integrated gradients in the manner of Captum: exact, because a network's gradient is constant on each region."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Optional

import numpy as np

from . import _native
from ._arrays import Floats, batch, finite, give, targets, whole
from ._progress import asking
from .network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Attribution:
    """Exact integrated gradients of ``B`` inputs, and what was found on the way."""

    values: Floats
    """Which part of the output's change each number of the input is responsible for, ``[B, in...]``."""
    errors: Floats
    """For each value a bound of its distance to the exact one, ``[B, in...]``; infinite where nothing is proved."""
    difference: Floats
    """``f(x) - f(baseline)`` of the output, ``[B]``, what the values add up to."""
    completeness_error: Floats
    """How far their sum is from it, relative to it, ``[B]``."""
    breakpoints: List[Floats]
    """For each input where the segment from the baseline crosses from region to region, as shares of it, ascending."""
    guarantee: str
    """What is claimed of the errors: ``proved`` or ``estimate``."""


class IntegratedGradients:
    """Integrated gradients (Sundararajan, Taly and Yan, ICML 2017) of a network's outputs.

    >>> import loclin, numpy as np
    >>> net = loclin.from_weights([(np.eye(2), np.array([0.0, -1.0])), (np.array([[1.0, 2.0]]), np.zeros(1))])
    >>> loclin.IntegratedGradients(net).attribute([[3.0, 2.0]], target=0).round(9).tolist()
    [[3.0, 2.0]]
    """

    def __init__(self, network: Network) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network: expected a loclin.Network, found {type(network).__name__}; loclin.from_torch makes one of a module")
        self.network = network

    def attribute(
        self,
        inputs: Any,
        target: Any = None,
        baselines: Any = None,
        *,
        exact: bool = True,
        n_steps: int = 50,
        out: str = "numpy",
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Any:
        """The attributions ``[B, in...]``.

        ``target`` is an output, or one for each input; those predicted if it is None. ``baselines`` are a number, ``[in...]`` or
        ``[B, in...]``; 0 if they are None. ``exact=False`` takes the midpoint rule with ``n_steps`` gradients instead, as others do.

        Raises ``ValueError`` for an output that the network does not have, and for shapes.
        """
        if exact:
            found = self.explain(inputs, target, baselines, threads=threads, progress=progress).values
            return give(found, out)
        n_steps = whole(n_steps, "n_steps", 1)
        x, from_, of = self._arguments(inputs, target, baselines, threads)
        with asking(len(x), threads, progress) as how:
            flat = _native.quadrature(self.network._native, x, from_, of, n_steps, how)
        return give(flat.reshape(x.shape), out)

    def explain(
        self,
        inputs: Any,
        target: Any = None,
        baselines: Any = None,
        *,
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Attribution:
        """The exact attributions with bounds of their errors, and the regions that were crossed. Arguments as of :meth:`attribute`."""
        x, from_, of = self._arguments(inputs, target, baselines, threads)
        with asking(len(x), threads, progress) as how:
            table = _native.integrated(self.network._native, x, from_, of, how)
        proved = all(row["guarantee"] == "proved" for row in table)
        return Attribution(
            values=np.stack([row["values"] for row in table]).reshape(x.shape),
            errors=np.stack([row["errors"] for row in table]).reshape(x.shape),
            difference=np.array([row["difference"] for row in table]),
            completeness_error=np.array([row["completeness_error"] for row in table]),
            breakpoints=[row["starts"][1:] for row in table],
            guarantee="proved" if proved else "estimate",
        )

    def _arguments(self, inputs: Any, target: Any, baselines: Any, threads: Optional[int]) -> Any:
        shape = self.network.input_shape
        x = batch(inputs, shape, "inputs")
        from_ = finite(0.0 if baselines is None else baselines, "baselines").astype(np.float64)
        if from_.size == 1:
            from_ = from_.reshape(())
        try:
            from_ = np.ascontiguousarray(np.broadcast_to(from_, x.shape))
        except ValueError as cause:
            message = f"baselines: expected shape {list(x.shape)} or {list(shape)}, found {list(from_.shape)}"
            raise _native.ShapeError(message) from cause
        of = targets(target, len(x), self.network.outputs)
        if of is None:
            with asking(len(x), threads) as how:
                _, of = _native.gradients(self.network._native, x, None, how)
        return x, from_, of
