"""Balls beyond the region: what is proved of them."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

import numpy as np

from . import _native
from ._arrays import Domain, array, batch, ends, maybe, number, order, targets, whole
from ._progress import asking
from .results import Bounds, Distortions, Largest, rows

Norm = Union[int, float, str]


class Balls:
    """The questions about balls, a part of :class:`loclin.Network`."""

    _native: _native.Network

    @property
    def input_shape(self) -> Tuple[int, ...]:
        """The shape of one input."""
        return tuple(self._native.input_shape)

    def bound(
        self,
        x: Any,
        eps: Any,
        what: str = "change",
        *,
        norm: Norm = "inf",
        box: Domain = None,
        target: Any = None,
        gradient_norm: Optional[Norm] = None,
        top: Optional[int] = None,
        time: Optional[float] = None,
        parts: Optional[int] = None,
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Bounds:
        """How much can change in balls of radius ``eps`` (one or several) around each input: found, and proved.

        ``what`` is bounded:

        * ``"change"``: by how much the gradient differs from that at the input (``gradient_norm``, default l1);
        * ``"lipschitz"``: the norm of the gradient (default: the dual of the ball's, the local Lipschitz constant);
        * ``"operator"``: the operator norm of the Jacobian, lp to lp for ``gradient_norm`` 1, 2 or ``"inf"`` (default: the ball's);
        * ``"sign"``: how many numbers of the gradient change their sign;
        * ``"top-k"``: by how much the absolute value of another number exceeds that of one of the ``top`` that are largest in absolute value
          (default 10); below 0 these stay the largest;
        * ``"class"``: by how much another output exceeds that of the class; below 0 the class stays.

        ``norm`` is that of the ball, ``box`` the domain that cuts it (None: the whole ball), and ``target`` the output whose gradient is asked
        about, one or ``[B]`` (None: the predicted class). ``time`` is in seconds for each ball (default 10; 0 for bounds without branching),
        ``parts`` the most parts that a ball is split into; with ``parts`` alone the same question has the same answer.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.array([[3.0, -2.0]]), np.zeros(1))])
        >>> found = net.bound([[1.0, 0.5]], eps=[0.25, 0.75])
        >>> found.found.round(6).tolist(), found.proved.round(6).tolist()
        ([[0.0, 2.0]], [[0.0, 2.0]])
        """
        radii = np.unique(np.atleast_1d(np.asarray(array(eps, "eps"), dtype=np.float64)).ravel())
        x, table = self._balls(
            x, radii.tolist(), what, norm, box, target, gradient_norm, top, time, parts, None, None, threads, progress
        )
        shape = (len(x), len(radii))
        found, proved = np.full(shape, np.nan), np.full(shape, np.nan)
        exact, stays = np.zeros(shape, dtype=np.bool_), np.full(shape, None, dtype=object)
        witness = np.full((*shape, *self.input_shape), np.nan)
        may = np.ones((*shape, *self.input_shape), dtype=np.bool_) if what == "sign" else None
        refused: Dict[Tuple[int, float], str] = {}
        for index, row in enumerate(table):
            refused.update({(index, radius): cause for radius, cause in row["refused"]})
            for bound in row["bounds"]:
                at = index, int(np.searchsorted(radii, bound["eps"]))
                found[at], proved[at], exact[at], stays[at] = (
                    bound["found"],
                    bound["proved"],
                    bound["exact"],
                    bound["stays"],
                )
                witness[at] = bound["witness"].reshape(self.input_shape)
                if may is not None:
                    may[at] = np.reshape(bound["may_change_sign"], self.input_shape)
        return Bounds(
            what=what,
            eps=radii,
            found=found,
            proved=proved,
            exact=exact,
            stays=stays,
            witness=witness,
            may_change_sign=may,
            target=np.fromiter(rows(table, "target"), dtype=np.int64),
            margin=np.fromiter(rows(table, "margin"), dtype=np.float64),
            guarantee=weakest(rows(table, "guarantee")),
            refused=refused,
        )

    def largest(
        self,
        x: Any,
        change: Union[float, str, None] = None,
        what: str = "change",
        *,
        norm: Norm = "inf",
        box: Domain = None,
        target: Any = None,
        gradient_norm: Optional[Norm] = None,
        top: Optional[int] = None,
        up_to: Optional[float] = None,
        time: Optional[float] = None,
        parts: Optional[int] = None,
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Largest:
        """How large the ball around each input may be: the question of :meth:`bound` backwards.

        For ``what="change"``, ``"lipschitz"`` and ``"operator"``, ``change`` is what is allowed: an absolute value, or a share of the
        norm of the gradient at the input, such as ``"10%"``. For ``"sign"``, ``"top-k"`` and ``"class"`` it is left out: all is to stay.
        ``up_to`` is the largest radius that is tried (default: the size of the box, or 1); the other arguments are those of :meth:`bound`.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.array([[3.0, -2.0]]), np.zeros(1))])
        >>> found = net.largest([[1.0, 0.5]], change="10%")
        >>> bool(0.495 <= found.proved[0] <= 0.5), bool(found.proved[0] <= found.refuted[0])
        (True, True)
        """
        measured = what in ("change", "lipschitz", "operator")
        if measured and change is None:
            raise ValueError(f'change: what is allowed of what={what!r}, such as "10%" or 0.5')
        if not measured and change is not None:
            raise ValueError(f"change: not for what={what!r}, of which all is to stay")
        allowed = _allowed(change) if change is not None else (0.0, False)
        x, table = self._balls(
            x, [], what, norm, box, target, gradient_norm, top, time, parts, allowed, up_to, threads, progress
        )
        curves = ([[bound["eps"], bound["found"], bound["proved"]] for bound in row["curve"]] for row in table)
        return Largest(
            proved=np.fromiter(rows(table, "proved"), dtype=np.float64),
            refuted=np.fromiter(rows(table, "refuted"), dtype=np.float64),
            threshold=np.fromiter(rows(table, "threshold"), dtype=np.float64),
            target=np.fromiter(rows(table, "target"), dtype=np.int64),
            margin=np.fromiter(rows(table, "margin"), dtype=np.float64),
            curve=[np.array(curve, dtype=np.float64).reshape(-1, 3) for curve in curves],
            guarantee=weakest(rows(table, "guarantee")),
        )

    def _balls(
        self,
        x: Any,
        eps: List[float],
        what: str,
        norm: Norm,
        box: Domain,
        target: Any,
        gradient_norm: Optional[Norm],
        top: Optional[int],
        seconds: Optional[float],
        parts: Optional[int],
        allowed: Optional[Tuple[float, bool]],
        up_to: Optional[float],
        threads: Optional[int],
        progress: Optional[bool],
    ) -> Tuple[Any, List[Dict[str, Any]]]:
        """The engine's answers about balls."""
        x = batch(x, self.input_shape)
        p = order(norm, "norm")
        if gradient_norm is not None and what in ("sign", "top-k", "class"):
            raise ValueError(f'gradient_norm: not for what="{what}"')
        if top is not None and what != "top-k":
            raise ValueError(f'top: not for what="{what}"')
        if target is not None and what == "operator":
            raise ValueError('target: not for what="operator", which asks about all outputs')
        if gradient_norm is None:
            dual = 1.0 if np.isinf(p) else np.inf if p == 1 else p / (p - 1)
            gradient_norm = {"lipschitz": dual, "operator": p}.get(what, 1.0)
        if seconds is not None and not 0 <= number(seconds, "time") <= 1e9:
            raise ValueError(f"time: expected seconds from 0 to 1e9, or None, found {seconds!r}")
        domain = ends(box, self.input_shape)
        if up_to is None:
            sides = np.subtract(domain[1], domain[0]) if domain else np.ones(1)
            size = float(np.linalg.norm(sides, ord=p))
            up_to = size if np.isfinite(size) and size > 0 else 1.0
        balls = {
            "eps": eps,
            "norm": p,
            "domain": domain,
            "what": what if isinstance(what, str) else repr(what),
            "target": targets(target, len(x), self._native.outputs),
            "gradient_norm": order(gradient_norm, "gradient_norm"),
            "top": whole(10 if top is None else top, "top", 1),
            "time": None if seconds is None else float(seconds),
            "parts": maybe(parts, "parts", 1),
            "allowed": allowed,
            "up_to": number(up_to, "up_to"),
        }
        with asking(len(x), threads, progress) as how:
            return x, _native.bound(self._native, x, balls, how)

    def distortion(
        self,
        x: Any,
        eps: float,
        *,
        box: Domain = None,
        target: Any = None,
        samples: int = 1000,
        population: int = 480,
        generations: int = 10,
        seed: int = 0,
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Distortions:
        """How much the gradient differs in the l_inf ball of radius ``eps``: its mean over random points, and the largest found by a
        genetic search and an ascent. Found, not proved; :meth:`bound` proves.

        ``samples`` is the number of random points, ``population`` and ``generations`` are those of the search: fewer than the command
        ``distortion`` takes (8000, 4800 and 30). ``box`` and ``target`` are those of :meth:`bound`."""
        x = batch(x, self.input_shape)
        searches = {
            "eps": number(eps, "eps"),
            "domain": ends(box, self.input_shape),
            "target": targets(target, len(x), self._native.outputs),
            "samples": whole(samples, "samples", 1),
            "population": whole(population, "population", 2),
            "generations": whole(generations, "generations", 1),
            "seed": whole(seed, "seed"),
        }
        with asking(len(x), threads, progress) as how:
            table = _native.distortion(self._native, x, searches, how)
        return Distortions(
            mean=np.fromiter(rows(table, "mean"), dtype=np.float64),
            standard_error=np.fromiter(rows(table, "standard_error"), dtype=np.float64),
            largest=np.fromiter(rows(table, "largest"), dtype=np.float64),
            worst=np.stack([row["worst_input"].reshape(self.input_shape) for row in table]),
            gradient_length=np.fromiter(rows(table, "gradient_length"), dtype=np.float64),
            target=np.fromiter(rows(table, "target"), dtype=np.int64),
        )


def weakest(guarantees: Iterable[str]) -> str:
    """The weakest of claims by their short names."""
    order = {"deployed": 0, "proved": 1, "probable": 2, "estimate": 3}
    found = list(dict.fromkeys(guarantees))
    return str(max(found, key=lambda claim: order[claim.partition("(")[0]])) if found else "estimate"


def _allowed(change: Union[float, str]) -> Tuple[float, bool]:
    """What is allowed, and whether it is a share."""
    is_share = isinstance(change, str) and change.strip().endswith("%")
    try:
        allowed = float(change.strip()[:-1]) / 100 if isinstance(change, str) and is_share else float(change)
    except (TypeError, ValueError):
        allowed = np.nan
    if not allowed >= 0:
        raise ValueError(f'change: expected a number of at least 0, or a share such as "10%", found {change!r}')
    return allowed, is_share
