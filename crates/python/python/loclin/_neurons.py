"""The neurons of a module of PyTorch, seen while it is called on dual numbers."""

from __future__ import annotations

from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad
from torch.overrides import TorchFunctionMode

from ._native import UnsupportedOperator

#: PyTorch's stubs say nothing of it.
forward_ad: Any = _forward_ad


class Neurons(TorchFunctionMode):
    """Keeps what stands in front of every activation, and makes of some operations what they are with a fixed pattern.

    What a dual number may meet is listed below: operators that are not are refused, since neurons in them would be missed.
    """

    def __init__(self, rows: int, copies: int, moves: bool) -> None:
        """The batch has ``rows`` rows, ``copies`` of each input; ``moves`` says whether running statistics move."""
        super().__init__()
        self.rows, self.copies, self.moves = rows, copies, moves
        #: Of each input once, and of each row; both ``[rows, N]``.
        self.values: List[Tensor] = []
        self.derivatives: List[Tensor] = []
        #: What tensors are marked with. Not the object itself: it keeps tensors, which keep their marks, and nobody would free them.
        self.token = object()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        named = {SAME.get(keyword, keyword): value for keyword, value in kwargs.items()}
        operands = list(_tensors((*args, *kwargs.values())))
        duals = [_is_dual(value) for value in operands]
        for operand, is_dual in zip(operands, duals):
            if is_dual:
                self.check(operand)
        name = getattr(func, "__name__", str(func))
        if any(duals) and func not in HANDLERS and name not in FREE:
            is_affine = name in AFFINE or (name in PRODUCTS and sum(duals) == 1)
            is_quotient = name in QUOTIENTS and sum(duals) == 1 and _is_dual(args[0] if args else named.get("input"))
            if not is_affine and not (is_quotient and kwargs.get("rounding_mode") is None):
                raise UnsupportedOperator(f"{name}: loclin.torch.roll takes models of affine layers, {KNOWN}")
        handler = HANDLERS.get(func) if any(duals) else None
        found = func(*args, **kwargs) if handler is None else handler(self, *args, **named)
        if name in DRAWN:
            self.drawn(name, found)
        for tensor in _tensors((found,)):
            # What goes on without its tangent, as integers or as ``data``, hides what it depends on.
            if _is_dual(tensor):
                self.mark(tensor)
            elif any(duals) and handler is None and name not in FREE:
                what = getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name
                raise UnsupportedOperator(
                    f"{what}: gives numbers of the input as constants, which hides neurons from loclin.torch.roll"
                )
        return found

    def mark(self, tensor: Tensor) -> Tensor:
        """Says of a tensor that what made it was seen."""
        setattr(tensor, SEEN, self.token)
        return tensor

    def check(self, tensor: Tensor) -> None:
        """Refuses a dual number that something made which was not seen, and may hide neurons."""
        if getattr(tensor, SEEN, None) is not self.token:
            raise UnsupportedOperator(HIDDEN)

    def drawn(self, name: str, found: Any) -> None:
        """Refuses random numbers of which the copies of an input have different ones: together they are no network's."""
        if self.copies > 1 and any(size and size % self.rows == 0 for tensor in _tensors((found,)) for size in tensor.shape):
            raise UnsupportedOperator(
                f"{name}: random numbers for each row of a batch, which differ between the copies of an input; loclin.torch.roll takes dropout "
                "of PyTorch, exact=False, and the model in evaluation mode"
            )

    def keep(self, z: Tensor) -> None:
        """Neurons with these values, ``[rows, ...]``, or rows of which each has several."""
        primal, tangent = forward_ad.unpack_dual(z)
        if primal.numel() % self.rows:
            raise UnsupportedOperator(MIXED)
        # Cloned: the module may write over its tensors.
        self.values.append(primal.reshape(self.copies, self.rows // self.copies, -1)[0].clone())
        self.derivatives.append(tangent.reshape(self.rows, -1).clone())


#: What a tensor is marked by whose making was seen.
SEEN = "_loclin_seen"

MIXED = (
    "the model mixes the inputs of a batch, or has something else than the batch in the first dimension in front of an activation; "
    "loclin.torch.roll takes the gradient of each input for itself, and batch normalisation of PyTorch"
)

HIDDEN = (
    "numbers of the input come from a function that PyTorch does not show, such as a scripted one or one with derivatives of its own, "
    "which hides neurons from loclin.torch.roll"
)


def _tensors(values: Any) -> Iterator[Any]:
    """The tensors of arguments, those in lists included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _is_dual(value: Any) -> bool:
    return isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None


KNOWN = "ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, clamping, absolute values, max pooling, maximum, minimum, max, min, amax and amin"


def _in_place(handler: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same, written into its operand, which the module may go on with."""

    def written(seen: Neurons, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # What is kept and what derivatives need must not be written over.
        return input.copy_(handler(seen, input.clone(), *args, **kwargs))

    return written


def _relu(seen: Neurons, input: Tensor, inplace: bool = False) -> Tensor:
    if inplace:
        return _in_place(_relu)(seen, input)
    seen.keep(input)
    return torch.where(_sides(input), input, torch.zeros_like(input))


def _leaky_relu(seen: Neurons, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    if inplace:
        return _in_place(_leaky_relu)(seen, input, negative_slope)
    seen.keep(input)
    return torch.where(_sides(input), input, input * negative_slope)


def _prelu(seen: Neurons, input: Tensor, weight: Tensor) -> Tensor:
    seen.keep(input)
    slopes = weight.reshape(-1, *[1] * (input.ndim - 2)) if weight.numel() > 1 else weight
    return torch.where(_sides(input), input, input * slopes)


def _abs(seen: Neurons, input: Tensor) -> Tensor:
    seen.keep(input)
    return torch.where(_sides(input), input, -input)


def _hardtanh(
    seen: Neurons, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    return (_in_place(_clamp) if inplace else _clamp)(seen, input, min_val, max_val)


def _relu6(seen: Neurons, input: Tensor, inplace: bool = False) -> Tensor:
    return _hardtanh(seen, input, 0.0, 6.0, inplace)


def _clamp_min(seen: Neurons, input: Tensor, min: Any) -> Tensor:
    return _clamp(seen, input, min)


def _clamp_max(seen: Neurons, input: Tensor, max: Any) -> Tensor:
    return _clamp(seen, input, max=max)


def _clamp(seen: Neurons, input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    if any(_is_dual(end) for end in (min, max)):
        raise UnsupportedOperator("clamp: loclin.torch.roll takes no ends that depend on the input")
    ends = [end for end in (min, max) if end is not None]
    if len(ends) == 2 and any(isinstance(end, Tensor) and end.numel() > 1 for end in ends):
        # An end for each number: the larger, then the smaller, as networks from files have it.
        return _clamp(seen, _clamp(seen, input, min), max=max)
    seen.keep(torch.stack([input - end for end in ends], -1))
    # The upper end has the last word, as in PyTorch.
    if min is not None:
        input = torch.where(_sides(input - min), input, torch.zeros_like(input) + min)
    if max is not None:
        input = torch.where(_sides(input - max), torch.zeros_like(input) + max, input)
    return input


def _threshold(seen: Neurons, input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    if threshold != value:
        raise UnsupportedOperator(f"threshold: jumps from {value} to {threshold}; loclin.torch.roll takes continuous models")
    return (_in_place(_clamp) if inplace else _clamp)(seen, input, threshold)


def _dropout(kind: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Dropout with one mask for all copies of an input."""

    def dropped(seen: Neurons, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return input
        primal = forward_ad.unpack_dual(input).primal.detach()
        mask = kind(torch.ones_like(primal[: len(primal) // seen.copies]), p, True)
        mask = mask.repeat(seen.copies, *[1] * (input.ndim - 1))
        return input.mul_(mask) if inplace else input * mask

    return dropped


def _alpha_dropout(seen: Neurons, input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """What it puts in place of a number is not 0: no mask for all copies of an input says it."""
    if not training or p == 0:
        return input
    raise UnsupportedOperator("alpha_dropout: loclin.torch.roll takes it in evaluation mode alone")


def _sides(z: Tensor) -> Tensor:
    """Which neurons are on their positive side; at exactly 0 they are."""
    values: Tensor = forward_ad.unpack_dual(z).primal.detach()
    return values >= 0


def _max_pool(rank: int) -> Callable[..., Tensor]:
    """Max pooling over so many dimensions."""

    def pooled(
        seen: Neurons,
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        if return_indices:
            raise UnsupportedOperator(f"max_pool{rank}d: loclin.torch.roll does not take return_indices")
        kernel, pads, wide = (_each(value, rank) for value in (kernel_size, padding, dilation))
        steps = kernel if stride is None or stride == [] else _each(stride, rank)
        axes = []
        for size, k, step, pad, apart in zip(input.shape[-rank:], kernel, steps, pads, wide):
            free = size + 2 * pad - (k - 1) * apart - 1
            count = (-(-free // step) if ceil_mode else free // step) + 1
            # A window that begins behind the entries is left out.
            count -= ceil_mode and (count - 1) * step >= size + pad
            axes.append([[at * step + entry * apart - pad for entry in range(k)] for at in range(count)])
        return _pooled(seen, input, axes)

    return pooled


def _adaptive_max_pool(rank: int) -> Callable[..., Tensor]:
    """Max pooling to so many windows along each of the dimensions."""

    def pooled(seen: Neurons, input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
        if return_indices:
            raise UnsupportedOperator(f"adaptive_max_pool{rank}d: loclin.torch.roll does not take return_indices")
        wanted = [output_size] * rank if output_size is None or isinstance(output_size, int) else list(output_size)
        axes = []
        for size, given in zip(input.shape[-rank:], wanted):
            count = size if given is None else given
            ends = [(at * size // count, -(-(at + 1) * size // count)) for at in range(count)]
            longest = max(end - start for start, end in ends)
            # What is behind the end of a shorter window is no entry.
            axes.append([[entry if entry < end else size for entry in range(start, start + longest)] for start, end in ends])
        return _pooled(seen, input, axes)

    return pooled


def _pooled(seen: Neurons, input: Tensor, axes: List[List[List[int]]]) -> Tensor:
    """The largest of each window; ``axes`` has the entries under the windows along each dimension, of which some lie outside."""
    rank = len(axes)
    if input.ndim == rank + 1:
        # PyTorch takes the first dimension for channels.
        return _pooled(seen, input.unsqueeze(1), axes).squeeze(1)
    windows, real = input, torch.ones_like(input[:1, :1], dtype=torch.bool).detach()
    for axis, rows in enumerate(axes):
        size = input.shape[axis + 2]
        index = torch.tensor(rows, device=input.device).flatten()
        windows, real = (t.index_select(axis + 2, index.clamp(0, size - 1)) for t in (windows, real))
        real = real & ((index >= 0) & (index < size)).reshape(-1, *[1] * (rank - axis - 1))
    split = [number for rows in axes for number in (len(rows), len(rows[0]))]
    order = [0, 1, *range(2, 2 * rank + 2, 2), *range(3, 2 * rank + 3, 2)]
    return _largest(
        seen, *(t.reshape(*t.shape[:2], *split).permute(order).flatten(rank + 2) for t in (windows, real))
    )


def _largest(seen: Neurons, entries: Tensor, real: Tensor) -> Tensor:
    """The largest of the last dimension; of the others that are real, largest minus other is a neuron each."""
    primal = forward_ad.unpack_dual(entries).primal.detach().masked_fill(~real.expand_as(entries), -torch.inf)
    index = primal.argmax(-1, keepdim=True)
    largest = entries.gather(-1, index)
    others = torch.ones_like(primal, dtype=torch.bool).scatter(-1, index, False) & real.expand_as(entries)
    # Equally many in every input.
    seen.keep((largest - entries)[others].reshape(len(entries), -1))
    return largest.squeeze(-1)


def _amax(seen: Neurons, input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    given = [dim] if isinstance(dim, int) else list(dim)
    dims = sorted(at % input.ndim for at in given or range(input.ndim))
    if 0 in dims:
        raise UnsupportedOperator("amax: loclin.torch.roll takes no largest of a whole batch; its first dimension is the batch")
    kept = [at for at in range(input.ndim) if at not in dims]
    entries = input.permute(*kept, *dims).flatten(len(kept))
    found = _largest(seen, entries, torch.ones_like(entries, dtype=torch.bool).detach())
    for at in dims if keepdim else ():
        found = found.unsqueeze(at)
    return found


def _amin(seen: Neurons, input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    return -_amax(seen, -input, dim, keepdim)


def _maximum(seen: Neurons, input: Tensor, other: Tensor) -> Tensor:
    entries = torch.stack(torch.broadcast_tensors(input, other), -1)
    return _largest(seen, entries, torch.ones_like(entries, dtype=torch.bool).detach())


def _minimum(seen: Neurons, input: Tensor, other: Tensor) -> Tensor:
    return -_maximum(seen, -input, -other)


class _Places:
    """Where the largest entries are: neurons say which one is selected, but not what is read by its place."""

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> NoReturn:
        cls.refuse()

    def __getattr__(self, _: str) -> NoReturn:
        self.refuse()

    def __index__(self) -> NoReturn:
        self.refuse()

    @classmethod
    def refuse(cls) -> NoReturn:
        raise UnsupportedOperator("max: loclin.torch.roll takes the largest values along a dimension, not their indices")


class _Extreme(NamedTuple):
    """What ``max`` and ``min`` along a dimension return."""

    values: Tensor
    indices: Any


def _max(sign: int) -> Callable[..., Any]:
    """``max``, or ``min`` by a sign of -1: of two tensors, or along a dimension."""

    def extreme(seen: Neurons, input: Tensor, dim: Any = None, keepdim: bool = False, other: Optional[Tensor] = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return sign * _maximum(seen, sign * input, sign * (dim if other is None else other))
        if dim is None:
            raise UnsupportedOperator("max: loclin.torch.roll takes no largest of a whole batch; its first dimension is the batch")
        return _Extreme(sign * _amax(seen, sign * input, dim, keepdim), _Places())

    return extreme


def _each(value: Any, rank: int) -> Tuple[int, ...]:
    """A number for each of so many dimensions."""
    numbers = [value] if isinstance(value, int) else [int(number) for number in value]
    return tuple(numbers * rank if len(numbers) == 1 else numbers)


def _batch_norm(
    seen: Neurons,
    input: Tensor,
    running_mean: Optional[Tensor],
    running_var: Optional[Tensor],
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """In training, statistics of the batch are constants in the input and functions of the weights."""
    shape = (1, -1, *[1] * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        primal = forward_ad.unpack_dual(input).primal
        axes = [axis for axis in range(input.ndim) if axis != 1]
        mean, var = primal.mean(axes), primal.var(axes, unbiased=False)
        count = primal.numel() // primal.shape[1] // seen.copies
        if count < 2:
            raise ValueError(f"batch_norm: expected more than one number for each channel in training, found {list(input.shape)}")
        if seen.moves and running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    else:
        mean, var = running_mean, running_var
    scale = torch.rsqrt(var + eps)
    scale = scale if weight is None else scale * weight
    normalized: Tensor = (input - mean.reshape(shape)) * scale.reshape(shape)
    return normalized if bias is None else normalized + bias.reshape(shape)


HANDLERS: Dict[Any, Callable[..., Any]] = {
    F.relu: _relu,
    torch.relu: _relu,
    Tensor.relu: _relu,
    F.relu_: _in_place(_relu),
    torch.relu_: _in_place(_relu),
    Tensor.relu_: _in_place(_relu),
    F.leaky_relu: _leaky_relu,
    F.leaky_relu_: _in_place(_leaky_relu),
    F.prelu: _prelu,
    torch.prelu: _prelu,
    Tensor.prelu: _prelu,
    torch.abs: _abs,
    Tensor.abs: _abs,
    Tensor.__abs__: _abs,
    torch.absolute: _abs,
    Tensor.absolute: _abs,
    torch.abs_: _in_place(_abs),
    Tensor.abs_: _in_place(_abs),
    F.hardtanh: _hardtanh,
    F.hardtanh_: _in_place(_hardtanh),
    F.relu6: _relu6,
    F.threshold: _threshold,
    torch.threshold: _threshold,
    **{place.max_pool1d: _max_pool(1) for place in (F, torch)},
    **{place.max_pool2d: _max_pool(2) for place in (F, torch)},
    **{place.max_pool3d: _max_pool(3) for place in (F, torch)},
    F.adaptive_max_pool1d: _adaptive_max_pool(1),
    F.adaptive_max_pool2d: _adaptive_max_pool(2),
    F.adaptive_max_pool3d: _adaptive_max_pool(3),
    **{place.amax: _amax for place in (torch, Tensor)},
    **{place.amin: _amin for place in (torch, Tensor)},
    **{place.max: _max(1) for place in (torch, Tensor)},
    **{place.min: _max(-1) for place in (torch, Tensor)},
    **{place.maximum: _maximum for place in (torch, Tensor)},
    **{place.minimum: _minimum for place in (torch, Tensor)},
    F.batch_norm: _batch_norm,
    torch.dropout: _dropout(torch.dropout),
    **{kind: _alpha_dropout for kind in (F.alpha_dropout, F.feature_alpha_dropout)},
    **{kind: _dropout(kind) for kind in (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)},
}
for _name, _handler in {"clamp": _clamp, "clip": _clamp, "clamp_min": _clamp_min, "clamp_max": _clamp_max}.items():
    for _place in (torch, Tensor):
        HANDLERS[getattr(_place, _name)] = _handler
        HANDLERS[getattr(_place, f"{_name}_")] = _in_place(_handler)


def _names(words: str, operators: str) -> FrozenSet[str]:
    """The names of functions, and of the same written into their operands; and those of Python's operators. ``__float__`` and the like are
    none: they read a number, on which all that follows may depend."""
    forms = [form for word in words.split() for form in (word, f"{word}_")]
    return frozenset([*forms, *(f"__{operator}__" for operator in operators.split())])


#: The keywords by which PyTorch's functions take the same as by those of the handlers.
SAME = {"axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input", "x1": "input", "x2": "other", "train": "training"}

#: Asking for no numbers: by names, which functions and methods share.
FREE = _names(
    "zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full new_empty size dim ndimension "
    "numel nelement stride is_contiguous is_floating_point is_complex element_size is_same_size retain_grad",
    "len hash repr format",
)

#: Drawing random numbers.
DRAWN = _names(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson binomial uniform random exponential "
    "geometric cauchy log_normal",
    "",
)

#: Affine in all of their operands.
AFFINE = _names(
    "add sub subtract rsub neg negative positive sum mean cumsum diff trace diag diagonal tril triu masked_fill "
    "reshape reshape_as view view_as flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes swapdims movedim moveaxis t "
    "adjoint expand expand_as broadcast_to repeat repeat_interleave tile narrow select index_select gather take chunk split "
    "split_with_sizes tensor_split hsplit vsplit dsplit unbind cat concat concatenate stack hstack vstack dstack flip fliplr "
    "flipud roll rot90 pad pixel_shuffle pixel_unshuffle channel_shuffle fold unfold contiguous clone to type type_as float double cpu "
    "cuda avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d interpolate upsample "
    "upsample_nearest upsample_bilinear",
    "add radd iadd sub rsub isub neg pos getitem iter get",
)

#: Affine in one operand where the others are constant.
PRODUCTS = _names(
    "mul multiply matmul mm bmm mv dot vdot inner outer einsum tensordot kron vecdot chain_matmul addmm addmv "
    "baddbmm linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "mul rmul imul matmul rmatmul imatmul",
)

#: Affine in the first operand where the second is constant.
QUOTIENTS = _names("div divide true_divide", "truediv itruediv")
