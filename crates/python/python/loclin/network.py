"""Networks, and what they can be asked."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from . import _native
from ._arrays import Domain, Floats, batch, ends, finite, give, indices, number, orders, targets, warn, whole
from ._progress import asking
from .balls import Balls, Norm, weakest
from .results import Certificates, Polyhedron, RegionCount, Steps, digits

Path = Union[str, "os.PathLike[str]"]


class Network(Balls):
    """A piecewise-linear network of raw inputs: its normalisation is part of it, so that every radius is in raw units.

    Made by :func:`loclin.load`, :func:`loclin.from_onnx`, :func:`loclin.from_torch` and :func:`loclin.from_weights`. Inputs ``x``
    are batches ``[B, in...]``, or a single input ``[in...]``, which is a batch of one. Computation is in float64.

    All questions take ``threads``, how many threads share the work (default: all), and release the GIL; an interrupt ends them
    within a second.
    """

    def __init__(self, native: _native.Network) -> None:
        self._native = native
        for note in native.notes:
            warn(note)
        self._nodes = native.nodes()

    @property
    def input_size(self) -> int:
        """``D``, the number of numbers in one input."""
        return int(np.prod(self.input_shape, dtype=np.int64))

    @property
    def outputs(self) -> int:
        """``L``, the number of outputs."""
        return self._native.outputs

    @property
    def normalization(self) -> Optional[Tuple[List[float], List[float]]]:
        """Means and standard deviations that it was read with; None for none. A model that :meth:`save` wrote has its own as a node."""
        return self._native.normalization

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.input_shape))
        return f"<loclin.Network: {shape} -> {self.outputs}, {self._native.structure}>"

    def summary(self) -> str:
        """A table of the nodes: name, operator, shape of the output, parameters, neurons.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.ones((3, 2)), np.zeros(3)), (np.ones((1, 3)), np.zeros(1))])
        >>> print(net.summary())  # doctest: +NORMALIZE_WHITESPACE
        name      operator    shape  parameters  neurons
        input     input       2
        layers.0  linear      3      9
        relu.0    activation  3                  3
        layers.1  linear      1      4
        13 parameters, 3 neurons; fully connected chain, hidden layers: 1
        """
        with asking(1, None) as how:
            neurons = dict(self._native.neurons(how))
        table = [["name", "operator", "shape", "parameters", "neurons"]]
        for index, node in enumerate(self._nodes):
            shape = " x ".join(map(str, node["shape"]))
            own = str(node["parameters"] or "")
            table.append([node["name"], node["kind"], shape, own, str(neurons.get(index, ""))])
        widths = [max(len(row[column]) for row in table) for column in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        total = sum(neurons.values())
        lines.append(f"{self._native.parameters} parameters, {total} neurons; {self._native.structure}")
        return "\n".join(lines)

    def forward(self, x: Any, *, out: str = "numpy", threads: Optional[int] = None) -> Any:
        """The outputs ``[B, L]`` in float64; ``out="torch"`` gives a tensor."""
        x = batch(x, self.input_shape)
        with asking(len(x), threads) as how:
            found = _native.forward(self._native, x, how)
        return give(found.reshape(len(x), self.outputs), out)

    __call__ = forward

    def certify(
        self,
        x: Any,
        norms: Union[Norm, Sequence[Norm]] = (1, 2, "inf"),
        box: Domain = None,
        *,
        labels: Any = None,
        method: str = "auto",
        failure_probability: Optional[float] = None,
        seed: int = 0,
        deployed: Optional[str] = None,
        upper: bool = False,
        threads: Optional[int] = None,
        progress: Optional[bool] = None,
    ) -> Certificates:
        """How far each input can move before the gradient changes, and what is claimed of that.

        Parameters
        ----------
        x
            Inputs ``[B, in...]``.
        norms
            The norms of the balls: any of 1, 2, ``"inf"`` and other ``p >= 1``.
        box
            Lower and upper ends of the domain that inputs come from, such as ``(0, 1)`` for pixels, numbers or arrays ``[in...]``:
            balls are cut with it, so that radii are at least as large. None for whole balls.
        labels
            The true classes ``[B]``, for the table and the accuracy.
        method
            ``auto``, or for comparisons ``all``, ``search`` or ``bound``.
        failure_probability
            For large networks: each radius may be too large with at most this probability over directions drawn by ``seed``. A model of
            somebody who knew the seed may be one that these directions miss: draw a fresh one.
        deployed
            ``"f32"``, ``"f16"`` or ``"bf16"``: radii within which every evaluation in that type takes the same sides.
        upper
            Also upper bounds of the true radii.

        Raises
        ------
        loclin.ShapeError
            Inputs of another shape, or none.
        loclin.NotFiniteError
            An input that is not finite; the text says which.
        ValueError
            A norm below 1, an input outside the box, a method that does not fit the network.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
        >>> found = net.certify([[0.5, 0.25], [1.0, 2.0]], norms=(2, "inf"))
        >>> found.eps["2"].round(6).tolist(), found.layer["2"].tolist(), found.neuron["2"].tolist()
        ([0.25, 1.0], ['relu.0', 'relu.0'], [1, 0])
        """
        numbers, names = orders(norms)
        x = batch(x, self.input_shape)
        own = None if labels is None else np.array(indices(labels, len(x), "labels"), dtype=np.int64)
        classes = max(self.outputs, 2)
        if own is not None and own.max() >= classes:
            raise ValueError(f"labels: class {own.max()}, and the network has {classes}, counted from 0")
        if deployed not in (None, "f32", "f16", "bf16"):
            raise ValueError(f'deployed: expected "f32", "f16" or "bf16", found {deployed!r}')
        if deployed is not None and (failure_probability is not None or upper):
            other = "upper" if upper else "failure_probability"
            raise ValueError(f"deployed: its radii are proved from below, and {other} is not for them; leave one out")
        if not isinstance(upper, (bool, np.bool_)):
            raise TypeError(f"upper: expected True or False, found {upper!r}")
        domain = ends(box, self.input_shape)
        question = {
            "norms": numbers,
            "domain": domain,
            "method": method if isinstance(method, str) else repr(method),
            "failure_probability": None if failure_probability is None else number(failure_probability, "failure_probability"),
            "seed": whole(seed, "seed"),
            "deployed": deployed,
            "upper": upper,
        }
        start = time.perf_counter()
        with asking(len(x), threads, progress) as how:
            found = _native.certify(self._native, x, question, how)
        columns = dict(zip(names, found["columns"]))
        guarantees = {p: str(column["guarantee"]) for p, column in columns.items()}
        return Certificates(
            eps={p: column["radius"] for p, column in columns.items()},
            guarantee=weakest(guarantees.values()),
            guarantees=guarantees,
            layer={p: self._names(column["node"]) for p, column in columns.items()},
            neuron={p: column["neuron"] for p, column in columns.items()},
            place={p: np.array(column["place"], dtype=object) for p, column in columns.items()},
            position={p: np.array(column["position"], dtype=object) for p, column in columns.items()},
            upper={p: column["upper"] for p, column in columns.items()} if upper else {},
            predictions=found["predictions"],
            outputs=found["outputs"].reshape(len(x), self.outputs),
            labels=own,
            regions=RegionCount(**found["regions"], region=found["region"].astype(np.int64)),
            undecided=found["undecided"].astype(np.int64),
            neurons=found["neurons"],
            method="; ".join(dict.fromkeys(column["method"] for column in columns.values())),
            domain=_domain_in_words(domain),
            normalization=self._normalization_in_words(),
            seconds=time.perf_counter() - start,
        )

    def gradient(self, x: Any, target: Any = None, *, out: str = "numpy", threads: Optional[int] = None) -> Any:
        """The gradient of one output at each input, ``[B, in...]``: constant on the input's region.

        ``target`` is an output, or one for each input; those predicted if it is None.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.array([[3.0, -2.0]]), np.zeros(1))])
        >>> net.gradient([[1.0, -1.0]]).tolist()
        [[3.0, 0.0]]
        """
        x = batch(x, self.input_shape)
        with asking(len(x), threads) as how:
            found, _ = _native.gradients(self._native, x, targets(target, len(x), self.outputs), how)
        return give(found.reshape(x.shape), out)

    def jacobian(self, x: Any, *, out: str = "numpy", threads: Optional[int] = None) -> Any:
        """The Jacobian of all outputs at each input, ``[B, L, in...]``."""
        x = batch(x, self.input_shape)
        with asking(len(x), threads) as how:
            found = _native.jacobians(self._native, x, how)
        return give(found.reshape(len(x), self.outputs, *self.input_shape), out)

    def polyhedron(self, x: Any, *, threads: Optional[int] = None) -> Polyhedron:
        """The region around one input as half-spaces, one for each neuron: ``|I| * (D + 1)`` numbers."""
        x = batch(x, self.input_shape)
        if len(x) != 1:
            raise _native.ShapeError(f"x: expected one input, found {len(x)}")
        with asking(1, threads) as how:
            found = _native.polyhedron(self._native, x, how)
        found["normals"] = found["normals"].reshape(-1, self.input_size)
        return Polyhedron(**found, input_shape=self.input_shape)

    def margins_along(self, x: Any, directions: Any, box: Domain = None, *, threads: Optional[int] = None) -> Steps:
        """How far each input can move along lines before the gradient changes (Prop. 4).

        ``directions`` are ``[K, in...]``, the same for all inputs, or ``[B, K, in...]``; steps are in their units.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
        >>> net.margins_along([[0.5, 0.25]], [[-1, 0], [0, -2]]).step.round(6).tolist()
        [[0.5, 0.125]]
        """
        x = batch(x, self.input_shape)
        own = finite(directions, "directions")
        rank = len(self.input_shape) + 1
        if own.ndim == rank:
            own = own[np.newaxis]
        fits = own.ndim == rank + 1 and own.shape[2:] == self.input_shape and own.shape[0] in (1, len(x))
        if not fits or own.shape[1] == 0:
            expected = list(("K", *self.input_shape))
            raise _native.ShapeError(
                f"directions: expected {expected} with K at least 1, or as many for each input, found {list(np.shape(directions))}"
            )
        with asking(len(x), threads) as how:
            found = _native.directional(self._native, x, np.ascontiguousarray(own), ends(box, self.input_shape), how)
        shape = (len(x), own.shape[1])
        return Steps(
            step=found["step"].reshape(shape),
            layer=self._names(found["node"]).reshape(shape),
            neuron=found["neuron"].reshape(shape),
            guarantee=found["guarantee"],
        )

    def count_regions(self, x: Any, *, threads: Optional[int] = None, progress: Optional[bool] = None) -> RegionCount:
        """A bracket of the number of complete linear regions that the inputs fall in (Lemma 7)."""
        x = batch(x, self.input_shape)
        question: Dict[str, Any] = {
            "norms": [],
            "domain": None,
            "method": "auto",
            "failure_probability": None,
            "seed": 0,
            "deployed": None,
            "upper": False,
        }
        with asking(len(x), threads, progress) as how:
            found = _native.certify(self._native, x, question, how)
        return RegionCount(**found["regions"], region=found["region"].astype(np.int64))

    def plane(
        self,
        x: Any,
        u: Any,
        v: Any,
        extent: Tuple[float, float, float, float] = (-1.0, 1.0, -1.0, 1.0),
        *,
        grid: int = 32,
        limit: int = 100_000,
        threads: Optional[int] = None,
    ) -> List[Floats]:
        """The regions of the plane ``x + a u + b v``, for ``a`` and ``b`` in ``extent`` (left, right, bottom, top): convex polygons,
        each an array ``[n, 2]`` of its corners ``(a, b)``. Drawn in floating point: nothing is claimed of them.

        Raises ``ValueError`` where there are more than ``limit``.

        >>> import loclin, numpy as np
        >>> net = loclin.from_weights([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
        >>> len(net.plane([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]))
        4
        """
        origin = batch(x, self.input_shape)
        if len(origin) != 1:
            raise _native.ShapeError(f"x: expected one input, found {len(origin)}")
        pair = [finite(w, what).astype(np.float64) for w, what in ((u, "u"), (v, "v"))]
        for own, what in zip(pair, ("u", "v")):
            if own.shape != self.input_shape:
                raise _native.ShapeError(f"{what}: expected shape {list(self.input_shape)}, found {list(own.shape)}")
        both = np.stack(pair)
        sides = np.asarray(finite(extent, "extent"), dtype=np.float64)
        if sides.shape != (4,):
            raise _native.ShapeError(f"extent: expected left, right, bottom and top, found {extent!r}")
        left, right, bottom, top = sides.tolist()
        grid, limit = whole(grid, "grid", 1), whole(limit, "limit")
        with asking(1, threads) as how:
            polygons = _native.plane(self._native, origin, both, [[left, right], [bottom, top]], grid, limit, how)
        return [np.array(polygon, dtype=np.float64) for polygon in polygons]

    def roll(self, x: Any, c: float, gamma: Union[float, str] = 100.0, *, threads: Optional[int] = None) -> float:
        """The ROLL loss (Eq. 9) of inputs, a number: the mean of ``||grad z||^2 + c max(0, 1 - |z|)`` over the ``gamma`` percent of
        neurons with the largest, or the largest alone for ``gamma="max"``. For training: :func:`loclin.torch.roll`."""
        x, c = batch(x, self.input_shape), number(c, "c")
        percent = None if isinstance(gamma, str) and gamma == "max" else number(gamma, "gamma")
        with asking(len(x), threads) as how:
            return _native.roll(self._native, x, c, percent, how)

    def save(self, path: Path) -> None:
        """Writes it as a ``.safetensors`` model file, normalisation included, which :func:`load` and the program read.

        Raises ``OSError`` where it cannot be written, and ``ValueError`` for a name that ends otherwise.
        """
        if not os.fsdecode(path).lower().endswith(".safetensors"):
            raise ValueError(f"path: expected a name that ends in .safetensors, found {os.fsdecode(path)!r}")
        with open(path, "wb") as file:
            file.write(self._native.to_bytes())

    def __reduce__(self) -> Tuple[Any, ...]:
        """Copies and pickles are what :meth:`save` writes, of the same class."""
        from .loading import _restored

        own = {name: value for name, value in vars(self).items() if name not in ("_native", "_nodes")}
        return _restored, (self._native.to_bytes(), type(self)), own

    def _names(self, nodes: Any) -> Any:
        """The names of nodes by their indices, -1 for none."""
        table = np.array([node["name"] for node in self._nodes] + [""], dtype=object)
        return table[nodes]

    def _normalization_in_words(self) -> str:
        own = self.normalization
        return f"mean {own[0]}, std {own[1]}" if own else ""


def _domain_in_words(domain: Optional[Tuple[List[float], List[float]]]) -> str:
    """As :meth:`Certificates.to_csv` writes it, in digits that read back to the same numbers."""
    if domain is None:
        return ""
    if all(len(set(side)) == 1 for side in domain):
        return f"{digits(domain[0][0])} to {digits(domain[1][0])}"
    return "a box of its own for each number"
