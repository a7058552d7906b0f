"""Training from PyTorch: the ROLL loss as an ordinary differentiable function of a module's parameters.

Of every neuron the loss sees the pre-activation ``z`` and the length of its input gradient. Both come from one pass of the module in
forward mode: tangents are pushed beside the values, with the activation pattern as it is, and what stands in front of each
activation is kept. All of it is PyTorch's own operations, so that ``backward()``, any optimiser and any device work.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad as _forward_ad
from torch.overrides import TorchFunctionMode

from ._native import UnsupportedOperator


#: PyTorch's stubs say nothing of it.
forward_ad: Any = _forward_ad

#: Inputs of at most so many numbers have their gradients measured exactly where nothing else is asked for.
SMALL = 32


def roll(
    model: torch.nn.Module,
    x: Tensor,
    c: float,
    gamma: Union[float, str] = 100.0,
    *,
    exact: Optional[bool] = None,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    """The regulariser ROLL (Eq. 9 of the paper), to be added to a task's loss times ``lambda``: a scalar.

    The mean, over inputs and over the ``gamma`` percent of neurons with the largest, of ``||grad z||_2^2 + c max(0, 1 - |z|)``;
    ``gamma="max"`` takes the one neuron with the largest. Activation pattern and choice of neurons are constants.

    Parameters
    ----------
    model
        A module of affine layers, ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, absolute values and max pooling, called in any way.
    x
        Inputs ``[B, in...]``.
    c
        The weight of the hinge, at least 0.
    gamma
        In (0, 100], or ``"max"``.
    exact
        True pushes all ``D`` axes, which takes as much memory as ``D`` forward passes. False pushes one direction of random signs
        for each input: an unbiased estimate for ``gamma=100``. None is exact for inputs of at most 32 numbers, and for other ``gamma``.
    generator
        Of the random signs.

    Raises :class:`loclin.UnsupportedOperator` for operators that are not piecewise linear, ``ValueError`` for numbers out of range and
    a model without neurons.
    """
    return roll_with_output(model, x, c, gamma, exact=exact, generator=generator)[0]


def roll_with_output(
    model: torch.nn.Module,
    x: Tensor,
    c: float,
    gamma: Union[float, str] = 100.0,
    *,
    exact: Optional[bool] = None,
    generator: Optional[torch.Generator] = None,
) -> Tuple[Tensor, Tensor]:
    """:func:`roll` and the model's output ``[B, ...]`` of the same pass, which saves the task's own."""
    percent = _percent(gamma)
    if not c >= 0:
        raise ValueError(f"c: expected at least 0, found {c}")
    if x.ndim < 2 or x.shape[0] == 0:
        raise ValueError(f"x: expected inputs [B, in...], found shape {list(x.shape)}")
    size = x[0].numel()
    if exact is None:
        exact = percent != 100.0 or size <= SMALL
    if percent != 100.0 and not exact:
        raise ValueError(f"gamma={gamma!r}: needs exact gradients (exact=True)")
    inputs, tangents, copies = (_axes if exact else _signs)(x.detach(), size, generator)
    seen = _Neurons()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(inputs, tangents)
        with seen:
            output = model(dual)
        output = forward_ad.unpack_dual(output).primal
    if not seen.values:
        raise ValueError("the model has no neurons")
    losses: List[Tensor] = []
    for z, derivative in zip(seen.values, seen.derivatives):
        squares = (derivative**2).reshape(copies, len(x), -1).sum(0)
        hinge = torch.relu(1 - z.reshape(copies, len(x), -1)[0].abs())
        losses.append(squares + c * hinge)
    every = torch.cat(losses, 1)
    output = output.reshape(copies, len(x), *output.shape[1:])[0]
    neurons = every.shape[1]
    count = 1 if percent is None else min(max(-int(-percent * neurons // 100), 1), neurons)
    if count < neurons:
        return every.gather(1, every.detach().topk(count, 1).indices).mean(), output
    return every.mean(), output


def _percent(gamma: Union[float, str]) -> Optional[float]:
    if gamma == "max":
        return None
    if isinstance(gamma, str) or not 0 < gamma <= 100:
        raise ValueError(f'gamma: expected a number in (0, 100] or "max", found {gamma!r}')
    return float(gamma)


def _axes(x: Tensor, size: int, _: Optional[torch.Generator]) -> Tuple[Tensor, Tensor, int]:
    """All inputs once for each axis, with the axis as their tangent."""
    axes = torch.eye(size, dtype=x.dtype, device=x.device).repeat_interleave(len(x), 0)
    copies = x.repeat(size, *[1] * (x.ndim - 1))
    return copies, axes.reshape(copies.shape), size


def _signs(x: Tensor, _: int, generator: Optional[torch.Generator]) -> Tuple[Tensor, Tensor, int]:
    """The inputs, each with a tangent of random signs."""
    place = x.device if generator is None else generator.device
    bits = torch.randint(0, 2, x.shape, generator=generator, device=place).to(device=x.device, dtype=x.dtype)
    return x, 2 * bits - 1, 1


class _Neurons(TorchFunctionMode):
    """Keeps what stands in front of every activation, and makes of some operations what they are with a fixed pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.values: List[Tensor] = []
        self.derivatives: List[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        handler = HANDLERS.get(func)
        if handler is not None:
            return handler(self, *args, **kwargs)
        if func in REFUSED and any(_is_dual(arg) for arg in (*args, *kwargs.values())):
            name = getattr(func, "__name__", str(func))
            raise UnsupportedOperator(f"{name}: loclin.torch.roll takes models of affine layers, {KNOWN}")
        return func(*args, **kwargs)

    def keep(self, z: Tensor) -> None:
        """Neurons with these values, ``[N, ...]``."""
        primal, tangent = forward_ad.unpack_dual(z)
        if tangent is None:
            return
        self.values.append(primal.flatten(1))
        self.derivatives.append(tangent.flatten(1))


def _is_dual(value: Any) -> bool:
    return isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None


KNOWN = "ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, absolute values and max pooling"


def _relu(seen: _Neurons, input: Tensor, inplace: bool = False) -> Tensor:
    seen.keep(input)
    return torch.where(_sides(input), input, torch.zeros_like(input))


def _leaky_relu(seen: _Neurons, input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    seen.keep(input)
    return torch.where(_sides(input), input, input * negative_slope)


def _prelu(seen: _Neurons, input: Tensor, weight: Tensor) -> Tensor:
    seen.keep(input)
    slopes = weight.reshape(-1, *[1] * (input.ndim - 2)) if weight.numel() > 1 else weight
    return torch.where(_sides(input), input, input * slopes)


def _abs(seen: _Neurons, input: Tensor) -> Tensor:
    seen.keep(input)
    return torch.where(_sides(input), input, -input)


def _hardtanh(
    seen: _Neurons, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    below, above = input - min_val, input - max_val
    seen.keep(torch.stack([below, above], -1))
    lowered = torch.where(_sides(below), input, torch.full_like(input, min_val))
    return torch.where(_sides(above), torch.full_like(input, max_val), lowered)


def _relu6(seen: _Neurons, input: Tensor, inplace: bool = False) -> Tensor:
    return _hardtanh(seen, input, 0.0, 6.0)


def _sides(z: Tensor) -> Tensor:
    """Which neurons are on their positive side; at exactly 0 they are."""
    values: Tensor = forward_ad.unpack_dual(z).primal.detach()
    return values >= 0


def _max_pool2d(
    seen: _Neurons,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The selected entry of each window; of the others, selected minus other is a neuron each."""
    if ceil_mode or return_indices:
        raise UnsupportedOperator("max_pool2d: loclin.torch.roll takes neither ceil_mode nor return_indices")
    kernel, (above, beside) = _pair(kernel_size), _pair(padding)
    step = kernel if stride is None or stride == [] else _pair(stride)
    padded = F.pad(input, (beside, beside, above, above))
    there = F.pad(torch.ones_like(input[:1, :1]), (beside, beside, above, above))
    windows, real = (_windows(t, kernel, step, _pair(dilation)) for t in (padded, there))
    primal = forward_ad.unpack_dual(windows).primal.detach().masked_fill(real.expand_as(windows) == 0, -torch.inf)
    index = primal.argmax(-1, keepdim=True)
    largest = windows.gather(-1, index)
    others = torch.ones_like(primal, dtype=torch.bool).scatter(-1, index, False) & (real.expand_as(windows) != 0)
    # Equally many in every input.
    seen.keep((largest - windows)[others].reshape(len(input), -1))
    return largest.squeeze(-1)


def _windows(t: Tensor, kernel: Tuple[int, int], step: Tuple[int, int], dilation: Tuple[int, int]) -> Tensor:
    """The entries under each window, ``[N, C, H, W, K]``."""
    spans = [(size - 1) * wide + 1 for size, wide in zip(kernel, dilation)]
    rows, columns = ((t.shape[axis + 2] - spans[axis]) // step[axis] + 1 for axis in range(2))
    parts = []
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        top, left = i * dilation[0], j * dilation[1]
        part = t[
            :, :, top : top + (rows - 1) * step[0] + 1 : step[0], left : left + (columns - 1) * step[1] + 1 : step[1]
        ]
        parts.append(part)
    return torch.stack(parts, -1)


def _pair(value: Any) -> Tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


def _batch_norm(
    seen: _Neurons,
    input: Tensor,
    running_mean: Optional[Tensor],
    running_var: Optional[Tensor],
    weight: Optional[Tensor] = None,
    bias: Optional[Tensor] = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """In training, statistics of the batch are constants in the input and functions of the weights; the running ones stay as they
    are, which the task's own pass moves."""
    shape = (1, -1, *[1] * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        primal = forward_ad.unpack_dual(input).primal
        axes = [axis for axis in range(input.ndim) if axis != 1]
        mean, var = primal.mean(axes), primal.var(axes, unbiased=False)
    else:
        mean, var = running_mean, running_var
    scale = torch.rsqrt(var + eps)
    scale = scale if weight is None else scale * weight
    normalized: Tensor = (input - mean.reshape(shape)) * scale.reshape(shape)
    return normalized if bias is None else normalized + bias.reshape(shape)


HANDLERS: Dict[Any, Callable[..., Any]] = {
    F.relu: _relu,
    F.relu_: _relu,
    torch.relu: _relu,
    torch.relu_: _relu,
    Tensor.relu: _relu,
    Tensor.relu_: _relu,
    F.leaky_relu: _leaky_relu,
    F.prelu: _prelu,
    torch.prelu: _prelu,
    torch.abs: _abs,
    Tensor.abs: _abs,
    F.hardtanh: _hardtanh,
    F.relu6: _relu6,
    F.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
    F.batch_norm: _batch_norm,
}

#: What has no place in such a model, or whose neurons are not known here.
REFUSED = {
    getattr(place, name)
    for place, names in (
        (
            F,
            "sigmoid tanh gelu silu mish softplus elu selu celu softmax log_softmax softmin tanhshrink softsign logsigmoid glu "
            "layer_norm group_norm instance_norm local_response_norm scaled_dot_product_attention hardswish hardsigmoid normalize "
            "threshold hardshrink softshrink rrelu max_pool1d max_pool3d adaptive_max_pool1d adaptive_max_pool2d fractional_max_pool2d",
        ),
        (
            torch,
            "sigmoid tanh exp log sqrt sin cos softmax log_softmax erf reciprocal clamp clamp_min clamp_max maximum minimum max min",
        ),
        (torch, "amax amin sort topk sign"),
        (
            Tensor,
            "sigmoid tanh exp log sqrt sin cos softmax log_softmax erf reciprocal clamp clamp_min clamp_max maximum minimum",
        ),
        (Tensor, "max min amax amin sort topk sign pow __pow__"),
    )
    for name in names.split()
    if hasattr(place, name)
}
