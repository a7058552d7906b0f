"""Anything that holds numbers as a NumPy array that the engine takes."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from ._native import ShapeError

Floats = NDArray[np.float64]
"""An array of float64."""

Domain = Union[None, Tuple[Any, Any]]
"""The box that inputs come from: lower and upper ends, numbers or arrays; ``None`` for none."""


def is_torch(x: Any) -> bool:
    """Whether ``x`` is a tensor of PyTorch, which is not imported for that."""
    return type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach")


def array(x: Any, what: str = "x") -> NDArray[Any]:
    """``x`` as a contiguous array of float32 or float64, without a copy where it is one.

    Tensors of PyTorch are detached and brought to the host. Other types of numbers become float64, which must hold them exactly.
    """
    if is_torch(x):
        x = x.detach().cpu()
        if str(x.dtype) in ("torch.bfloat16", "torch.float16"):
            x = x.double()
        x = x.numpy()
    elif not hasattr(x, "__array__") and hasattr(x, "__dlpack__"):
        try:
            x = np.from_dlpack(x)
        except (BufferError, RuntimeError, TypeError) as cause:
            message = f"{what}: cannot be read on the host ({cause}); copy it there first"
            raise TypeError(message) from cause
    found = np.asarray(x)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{what}: expected real numbers, found an array of {found.dtype}")
    if found.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        wide = found.astype(np.float64)
        if found.dtype.itemsize >= 8 and not np.array_equal(
            wide.astype(found.dtype), found, equal_nan=found.dtype.kind == "f"
        ):
            raise ValueError(f"{what}: holds numbers of {found.dtype} that float64 does not hold exactly")
        found = wide
    return np.ascontiguousarray(found)


def batch(x: Any, input_shape: Sequence[int], what: str = "x") -> NDArray[Any]:
    """``x`` as inputs ``[B, in...]``; a single input becomes a batch of one."""
    found = array(x, what)
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
    if isinstance(norms, (int, float, str)):
        norms = (norms,)
    numbers = [float(p) for p in norms]
    if not numbers:
        raise ValueError('norms: expected at least one of 1, 2, "inf" or another p >= 1')
    return numbers, [name(p) for p in numbers]


def name(p: float) -> str:
    """What the norm with this ``p`` is called in results."""
    return "inf" if np.isinf(p) else f"{p:g}" if float(f"{p:g}") == p else repr(p)


def targets(target: Any, batch_size: int) -> Optional[list[int]]:
    """One output for each input; ``None`` for those predicted."""
    if target is None:
        return None
    numbers = np.asarray(array(target, "target"))
    if not np.array_equal(numbers, np.round(numbers)) or (numbers < 0).any():
        raise ValueError("target: expected the index of an output, or one for each input")
    if numbers.size == 1:
        return [int(numbers.ravel()[0])] * batch_size
    if numbers.shape != (batch_size,):
        raise ShapeError(
            f"target: expected {batch_size} outputs, one for each input, found shape {list(numbers.shape)}"
        )
    return [int(number) for number in numbers]


def give(found: Floats, out: str) -> Any:
    """An array as ``"numpy"`` or, where it is asked for, a tensor of ``"torch"`` that shares its memory."""
    if out == "numpy":
        return found
    if out == "torch":
        import torch

        return torch.from_numpy(found)
    raise ValueError(f'out: expected "numpy" or "torch", found {out!r}')
