"""What questions are answered with: NumPy arrays under names."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._arrays import Floats, array

if TYPE_CHECKING:
    import pandas

Path = Union[str, "os.PathLike[str]"]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class RegionCount:
    """A bracket of the number of complete linear regions (maximal connected sets with one derivative) that inputs fall in."""

    points: int
    """How many inputs there are."""
    lower: int
    """At least this many: inputs whose Jacobians differ by more than rounding can have made."""
    upper: int
    """At most this many: different activation patterns, and each input of which some neuron's side is undecided."""
    on_boundary: int
    """Inputs at which the value of some neuron is exactly 0."""
    undecided: int
    """Inputs at which rounding leaves the side of a neuron undecided."""
    guarantee: str
    """What is claimed of the bracket: ``proved`` or ``estimate``."""
    region: Ints
    """For each input the number of its activation pattern, from 0 in the order of their coming, ``[B]``."""


@dataclasses.dataclass(frozen=True, eq=False)
class Certificates:
    """The margins of ``B`` inputs: how far each can move before the network's gradient changes."""

    eps: Dict[str, Floats]
    """By the norm's name (``"1"``, ``"2"``, ``"inf"``, ...) the radius of each input's ball, ``[B]``, in units of the raw input;
    infinite where no neuron limits it."""
    guarantee: str
    """What is claimed of every radius, the weakest claim of all norms: ``proved``, ``probable(P)``, ``deployed(TYPE)`` or
    ``estimate``."""
    guarantees: Dict[str, str]
    """The claim of each norm."""
    layer: Dict[str, NDArray[np.object_]]
    """By norm, the name of the node whose neuron the ball touches, ``[B]``; empty where none does."""
    neuron: Dict[str, Ints]
    """By norm, the index of that neuron in its node, row-major, ``[B]``; -1 where there is none."""
    place: Dict[str, NDArray[np.object_]]
    """By norm, where that neuron is in its node, counted from 0, such as ``channel 3, row 5, column 7``, ``[B]``; empty where that is
    not known."""
    position: Dict[str, NDArray[np.object_]]
    """By norm, where the input is: ``inside``, or why the radius is 0: ``boundary``, ``tie``, ``undecided``. ``[B]``."""
    upper: Dict[str, Floats]
    """By norm, upper bounds of the true radii, ``[B]``; empty where they were not asked for."""
    predictions: Ints
    """The class of the largest output, ``[B]``; for one output whether it is positive."""
    outputs: Floats
    """The network's outputs, ``[B, L]``."""
    labels: Optional[Ints]
    """The labels that were given, ``[B]``."""
    regions: RegionCount
    """How many regions the inputs fall in."""
    undecided: Ints
    """How many neurons' sides rounding leaves undecided, ``[B]``."""
    neurons: int
    """The number of neurons of the network."""
    method: str
    """How the radii were found, in words."""
    domain: str
    """The box that balls are cut with, in words; empty for none."""
    normalization: str
    """The normalisation that is part of the network, in words; empty for none."""
    seconds: float
    """Wall-clock seconds."""

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def leading(self) -> str:
        """The norm whose limiting neuron stands in tables: l2, or the first."""
        return "2" if "2" in self.eps else next(iter(self.eps))

    @property
    def scores(self) -> Floats:
        """The output of the predicted class, or the only one, ``[B]``."""
        own = self.predictions if self.outputs.shape[1] > 1 else np.zeros_like(self.predictions)
        scores: Floats = self.outputs[np.arange(len(self)), own]
        return scores

    @property
    def accuracy(self) -> float:
        """The share of predictions that are the label; NaN without labels."""
        if self.labels is None:
            return float("nan")
        return float(np.mean(self.predictions == self.labels))

    def percentiles(self) -> Dict[str, Floats]:
        """By norm, the 25th, 50th, 75th and 100th percentile of the radii."""
        return {p: np.array([_percentile(np.sort(radii), q) for q in (25, 50, 75, 100)]) for p, radii in self.eps.items()}

    def columns(self) -> Dict[str, Sequence[Any]]:
        """The columns of the table that the program ``loclin certify`` writes, in its order."""
        leading = self.leading
        neuron = self.neuron[leading]
        found: Dict[str, Sequence[Any]] = {"index": range(len(self))}
        found["label"] = [None] * len(self) if self.labels is None else [int(label) for label in self.labels]
        found["prediction"] = [int(prediction) for prediction in self.predictions]
        found.update({f"eps_{p}": radii.tolist() for p, radii in self.eps.items()})
        found.update({f"upper_{p}": bounds.tolist() for p, bounds in self.upper.items()})
        found["guarantee"] = [self.guarantee] * len(self)
        found["layer"] = self.layer[leading].tolist()
        found["neuron"] = [None if index < 0 else int(index) for index in neuron]
        found["position"] = self.position[leading].tolist()
        if self.domain:
            found["domain"] = [self.domain] * len(self)
        found["score"] = self.scores.tolist()
        found["place"] = self.place[leading].tolist()
        return found

    def to_csv(self, path: Optional[Path] = None) -> Optional[str]:
        """Writes the table of ``loclin certify``: one row for each input, every radius in digits that read back to the same number.

        Without ``path`` the text is returned.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.columns()
        writer.writerow(columns)
        writer.writerows(zip(*(map(_word, column) for column in columns.values())))
        if path is None:
            return text.getvalue()
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
        return None

    def to_pandas(self) -> "pandas.DataFrame":
        """The same table as a ``pandas.DataFrame``.

        Raises ``ImportError`` where pandas is not installed.
        """
        import pandas

        frame: "pandas.DataFrame" = pandas.DataFrame({name: list(column) for name, column in self.columns().items()})
        return frame

    def report(self, path: Path, title: str = "Certified inputs", name: str = "network") -> None:
        """Writes an HTML page without scripts or outside resources: survival curves of the radii, percentiles, the claim.

        Raises ``OSError`` where the file cannot be written.
        """
        settings = [("inputs", str(len(self))), ("neurons", str(self.neurons)), ("method", self.method)]
        settings += [("domain", self.domain)] if self.domain else []
        settings += [("normalisation", self.normalization)] if self.normalization else []
        settings += [("version", _native.__version__)]
        _native.report(
            os.fspath(path),
            {
                "title": title,
                "unit": "units of the raw input",
                "inputs": "inputs",
                "name": name,
                "accuracy": self.accuracy,
                "regions": (self.regions.lower, self.regions.upper),
                "guarantee": self.guarantee,
                "points": len(self),
                "radii": [(p, radii.tolist()) for p, radii in self.eps.items()],
                "settings": settings,
            },
        )

    def __repr__(self) -> str:
        lines = [f"{len(self)} inputs, {self.neurons} neurons: {self.seconds:.1f} s"]
        lines += [f"inputs     normalised, {self.normalization}; radii in units before"] if self.normalization else []
        lines.append(f"domain     {self.domain or 'whole balls'}")
        lines.append(f"#CLR       {self.regions.lower} to {self.regions.upper} ({self.regions.guarantee})")
        lines.append("margin             P25         P50         P75        P100")
        for p, numbers in self.percentiles().items():
            lines.append(f"eps_{p:<7}" + "".join(f"{number:12.4e}" for number in numbers))
        lines.append(f"guarantee  {self.guarantee}: {self.method}")
        return "\n".join(lines)


def _word(value: Any) -> str:
    """A cell."""
    if value is None:
        return ""
    return digits(value) if isinstance(value, float) else str(value)


def digits(value: float) -> str:
    """The shortest decimal digits that read back to the same number, without an exponent."""
    return np.format_float_positional(value, unique=True, trim="-") if np.isfinite(value) else repr(value)


def _percentile(ascending: Floats, q: float) -> float:
    """By straight lines between two numbers, of which one or both may be infinite."""
    place = q / 100 * (len(ascending) - 1)
    low, high = (float(ascending[int(end)]) for end in (np.floor(place), np.ceil(place)))
    return low if low == high else low + (place % 1) * (high - low)


@dataclasses.dataclass(frozen=True, eq=False)
class Polyhedron:
    """The region around one input: ``{ v : normals @ v + offsets >= 0 }``, one row for each neuron (Lemma 2 of the paper)."""

    normals: Floats
    """The gradients of the neurons towards their side, ``[|I|, D]``."""
    offsets: Floats
    """``[|I|]``."""
    normal_errors: Floats
    """What rounding has done to each normal at most, as an l1 norm, ``[|I|]``; infinite where that is not known."""
    offset_errors: Floats
    """The same of each offset, ``[|I|]``."""
    input_shape: Tuple[int, ...]
    """The shape of one input, whose ``D`` numbers are in row-major order."""

    def slack(self, v: Any) -> Floats:
        """How far each neuron is from its boundary at the points ``v`` ``[..., D]`` or ``[..., in...]``, in its own units:
        ``[..., |I|]``."""
        points = array(v, "v").astype(np.float64)
        shape = points.shape[: points.ndim - len(self.input_shape)]
        if points.shape[len(shape) :] == self.input_shape:
            points = points.reshape(*shape, self.normals.shape[1])
        if points.shape[-1] != self.normals.shape[1]:
            expected = f"[..., {self.normals.shape[1]}] or {list(('...', *self.input_shape))}"
            raise _native.ShapeError(f"v: expected points {expected}, found {list(points.shape)}")
        found: Floats = points @ self.normals.T + self.offsets
        return found

    def contains(self, v: Any, tolerance: float = 0.0) -> NDArray[np.bool_]:
        """Whether points are inside, up to a tolerance in the neurons' units."""
        return np.asarray((self.slack(v) >= -tolerance).all(axis=-1))


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
    """How far lines ``x + step * direction`` stay in the region of ``x``."""

    step: Floats
    """``[B, K]``, in units of the direction; infinite where the line never leaves, or leaves the box first."""
    layer: NDArray[np.object_]
    """The node of the neuron that is 0 there, ``[B, K]``; empty for none."""
    neuron: Ints
    """The index of that neuron in its node, ``[B, K]``; -1 for none."""
    guarantee: str
    """What is claimed of every step."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bounds:
    """What is found and proved of balls around ``B`` inputs, for ``R`` radii."""

    what: str
    """What is bounded."""
    eps: Floats
    """The radii, ascending, ``[R]``."""
    found: Floats
    """The largest value found in each ball, at ``witness``, by the network itself, ``[B, R]``; NaN where there is no answer."""
    proved: Floats
    """No input of the ball has a larger value, ``[B, R]``; NaN where there is no answer."""
    exact: NDArray[np.bool_]
    """Whether both are one number, to nine digits, ``[B, R]``."""
    stays: NDArray[np.object_]
    """For ``what="top-k"`` and ``"class"`` whether it stays as at the input: True, False, or None where that is open. ``[B, R]``."""
    witness: Floats
    """The inputs with the values found, ``[B, R, in...]``; NaN where there is no answer."""
    may_change_sign: Optional[NDArray[np.bool_]]
    """For ``what="sign"``, which numbers of the gradient may change their sign; all others are proved to keep it.
    ``[B, R, in...]``."""
    target: Ints
    """The output asked about, ``[B]``."""
    margin: Floats
    """The radius of the largest ball in which the gradient is constant, ``[B]``."""
    guarantee: str
    """What is claimed of every bound."""
    refused: Dict[Tuple[int, float], str]
    """Why there is no answer, by input and radius."""


@dataclasses.dataclass(frozen=True, eq=False)
class Largest:
    """How large the ball around each of ``B`` inputs may be before something is allowed no more."""

    proved: Floats
    """In the ball of this radius everything is proved to stay as allowed, ``[B]``."""
    refuted: Floats
    """In the ball of this radius an input was found that is beyond; infinite if none was. ``[B]``."""
    threshold: Floats
    """What is allowed, as a value of the question, ``[B]``."""
    target: Ints
    """The output asked about, ``[B]``."""
    margin: Floats
    """The radius of the largest ball in which the gradient is constant, ``[B]``."""
    curve: List[Floats]
    """For each input the radii that were looked at, with what was found and proved there: ``[n, 3]``."""
    guarantee: str
    """What is claimed of the radii proved."""


@dataclasses.dataclass(frozen=True, eq=False)
class Distortions:
    """How much the gradient of an output differs within the l_inf ball around each of ``B`` inputs, as an l1 norm: found, not
    proved."""

    mean: Floats
    """The mean over uniform points of the ball, ``[B]``."""
    standard_error: Floats
    """The standard error of the mean, ``[B]``."""
    largest: Floats
    """The largest found by two searches, ``[B]``."""
    worst: Floats
    """Where it was found, ``[B, in...]``."""
    gradient_length: Floats
    """The l1 norm of the gradient at the input, what distortions are to be compared with, ``[B]``."""
    target: Ints
    """The output asked about, ``[B]``."""


def rows(table: Sequence[Dict[str, Any]], key: str) -> Iterator[Any]:
    """One entry of every row."""
    return (row[key] for row in table)
