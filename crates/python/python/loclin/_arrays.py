"""Anything that holds numbers as a NumPy array that the engine takes."""

from __future__ import annotations

import operator
import sys
import warnings
from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from ._native import NotFiniteError, ShapeError

Floats = NDArray[np.float64]
"""An array of float64."""


class LoclinWarning(UserWarning):
    """A note on what was read, such as a softmax that is left out behind the logits."""


def warn(note: str) -> None:
    """A :class:`LoclinWarning` of the line that called the package, however deep in it the cause was found."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(note, LoclinWarning, stacklevel=level)


Domain = Union[None, Tuple[Any, Any]]
"""The box that inputs come from: lower and upper ends, numbers or arrays; ``None`` for none."""


def is_torch(x: Any) -> bool:
    """Whether ``x`` is a tensor of PyTorch, which is not imported for that."""
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def array(x: Any, what: str = "x") -> NDArray[Any]:
    """``x`` as a contiguous array of float32 or float64, without a copy where it is one.

    Tensors of PyTorch are detached and brought to the host. Other types of numbers become float64, which must hold them exactly.
    """
    return _floats(_stored(x, what), what)


def _stored(x: Any, what: str) -> NDArray[Any]:
    """``x`` as an array of the numbers that it holds."""
    if is_torch(x):
        x = x.detach().cpu().resolve_conj().resolve_neg()
        if x.dtype.is_floating_point and x.dtype.itemsize < 4:
            x = x.double()
        try:
            x = x.numpy()
        except (RuntimeError, TypeError) as cause:
            raise TypeError(f"{what}: expected an array or a dense tensor ({cause})") from cause
    elif isinstance(x, (list, tuple)) and _holds_torch(x):
        x = [_stored(part, what) for part in x]
    elif not hasattr(x, "__array__") and hasattr(x, "__dlpack__"):
        try:
            x = np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError) as cause:
            message = f"{what}: cannot be read on the host ({cause}); copy it there first"
            raise TypeError(message) from cause
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{what}: a masked array, whose masked numbers are none; give .filled(value) or .data")
    try:
        found = np.asarray(x)
    except ValueError as cause:
        raise ShapeError(f"{what}: no array of numbers ({cause})") from cause
    except (RuntimeError, TypeError) as cause:
        raise TypeError(f"{what}: no array of numbers ({cause})") from cause
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{what}: expected real numbers, found an array of {found.dtype}")
    return found


def _holds_torch(x: Any) -> bool:
    """Whether what stands first in lists is a tensor of PyTorch."""
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return is_torch(x)


def _floats(found: NDArray[Any], what: str) -> NDArray[Any]:
    if found.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        wide = found.astype(np.float64)
        if found.dtype.itemsize >= 8 and not np.array_equal(
            wide.astype(found.dtype), found, equal_nan=found.dtype.kind == "f"
        ):
            raise ValueError(f"{what}: holds numbers of {found.dtype} that float64 does not hold exactly")
        found = wide
    # One number is an array of one. Aligned: what is read from the middle of a file may not be.
    return np.require(np.atleast_1d(found), requirements=["C", "A"])


def finite(x: Any, what: str) -> NDArray[Any]:
    """:func:`array`, of numbers beside the inputs, none of which may be infinite or NaN."""
    found = array(x, what)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        at = tuple(int(k) for k in bad[0])
        place = f"{what}[{', '.join(map(str, at))}]" if found.size > 1 else what
        raise NotFiniteError(f"{place} is not finite ({found[at]})")
    return found


def batch(x: Any, input_shape: Sequence[int], what: str = "x") -> NDArray[Any]:
    """``x`` as inputs ``[B, in...]``; a single input becomes a batch of one."""
    stored = _stored(x, what)
    found = _floats(stored, what)
    if stored.dtype == np.uint8:
        warn(f"{what}: bytes, taken as they are, 0 to 255; for pixels in [0, 1] divide by 255, otherwise give them as floats")
    shape = tuple(input_shape)
    if found.shape == shape:
        found = found[np.newaxis]
    if found.ndim != len(shape) + 1 or found.shape[1:] != shape:
        raise ShapeError(
            f"{what}: the network takes inputs of shape {list(('batch', *shape))}, found {list(found.shape)}"
        )
    if found.shape[0] == 0:
        raise ShapeError(f"{what}: no inputs")
    return found


def ends(box: Domain, input_shape: Sequence[int]) -> Optional[Tuple[list[float], list[float]]]:
    """The lower and upper ends of a domain, one for each number of an input."""
    if box is None:
        return None
    try:
        low, high = box
    except (TypeError, ValueError) as cause:
        raise ValueError(f"box: expected lower and upper ends, such as (0, 1), found {box!r}") from cause

    def full(end: Any, side: str) -> list[float]:
        numbers = array(end, f"box, {side} ends").astype(np.float64)
        try:
            wide = np.broadcast_to(numbers if numbers.size > 1 else numbers.reshape(()), tuple(input_shape))
        except ValueError as cause:
            message = f"box, {side} ends: shape {list(numbers.shape)} does not fit inputs of shape {list(input_shape)}"
            raise ShapeError(message) from cause
        return [float(number) for number in wide.ravel()]

    return full(low, "lower"), full(high, "upper")


def orders(norms: Any) -> Tuple[list[float], list[str]]:
    """The ``p`` of norms as numbers, and their names: ``1``, ``2``, ``inf``, or another ``p``."""
    several = np.atleast_1d(norms) if isinstance(norms, np.ndarray) else norms
    numbers = [order(p, "norms") for p in (several if isinstance(several, (list, tuple, set, np.ndarray)) else (several,))]
    if not numbers:
        raise ValueError('norms: expected at least one of 1, 2, "inf" or another p >= 1')
    return numbers, [name(p) for p in numbers]


def order(norm: Any, what: str) -> float:
    """The ``p`` of a norm as a number."""
    try:
        if isinstance(norm, bytes):
            raise TypeError
        p = float(norm)
    except (RuntimeError, TypeError, ValueError):
        p = np.nan
    if not p >= 1:
        raise ValueError(f'{what}: expected 1, 2, "inf" or another p >= 1, found {norm!r}')
    return p


def number(of: Any, what: str) -> float:
    """One number."""
    try:
        if isinstance(of, (str, bytes)):
            raise TypeError
        return float(of)
    except (RuntimeError, TypeError, ValueError) as cause:
        raise TypeError(f"{what}: expected a number, found {of!r}") from cause


def whole(number: Any, what: str, least: int = 0) -> int:
    """A whole number of at least ``least``."""
    try:
        found = operator.index(number)
    except TypeError as cause:
        raise TypeError(f"{what}: expected a whole number of at least {least}, found {number!r}") from cause
    if not least <= found < 2**63:
        raise ValueError(f"{what}: expected a whole number of at least {least} and below 2**63, found {found}")
    return found


def maybe(number: Any, what: str, least: int = 0) -> Optional[int]:
    """The same, or ``None``."""
    return None if number is None else whole(number, what, least)


def name(p: float) -> str:
    """What the norm with this ``p`` is called in results."""
    return "inf" if np.isinf(p) else f"{p:g}" if float(f"{p:g}") == p else repr(p)


def targets(target: Any, batch_size: int, outputs: int) -> Optional[list[int]]:
    """One of so many outputs for each input; ``None`` for those predicted."""
    if target is None:
        return None
    found = indices([target], 1, "target") * batch_size if np.ndim(target) == 0 else indices(target, batch_size, "target")
    if max(found) >= outputs:
        raise ValueError(f"target: output {max(found)}, and the network has {outputs}, counted from 0")
    return found


def indices(of: Any, batch_size: int, what: str) -> list[int]:
    """The index of an output for each input."""
    numbers = np.asarray(array(of, what))
    if not np.array_equal(numbers, np.round(numbers)) or not ((numbers >= 0) & (numbers < 2**32)).all():
        raise ValueError(f"{what}: expected indices of outputs, counted from 0, found {of!r}")
    if numbers.shape != (batch_size,):
        raise ShapeError(f"{what}: expected {batch_size}, one for each input, found shape {list(numbers.shape)}")
    return [int(number) for number in numbers]


def give(found: Floats, out: str) -> Any:
    """An array as ``"numpy"`` or, where it is asked for, a tensor of ``"torch"`` that shares its memory."""
    if out == "numpy":
        return found
    if out == "torch":
        import torch

        return torch.from_numpy(found)
    raise ValueError(f'out: expected "numpy" or "torch", found {out!r}')
