"""Training from PyTorch: the ROLL loss as an ordinary differentiable function of a module's parameters.

Of every neuron the loss sees the pre-activation ``z`` and the length of its input gradient. Both come from one pass of the module in
forward mode: tangents are pushed beside the values, with the activation pattern as it is, and what stands in front of each
activation is kept. All of it is PyTorch's own operations, so that ``backward()``, any optimiser and any device work.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import torch
from torch import Tensor

from ._modules import check_initialised, state_kept
from ._native import UnsupportedOperator
from ._neurons import HIDDEN, MIXED, Neurons, forward_ad

#: PyTorch has one level of dual numbers for all threads.
_TURN = threading.RLock()

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
        A module of affine layers, ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, clamping, absolute values, max pooling,
        ``maximum``, ``minimum``, ``max``, ``min``, ``amax`` and ``amin``, called as functions, methods or modules of PyTorch. It is called as it is;
        statistics of its batch normalisations stay as they are, which the task's own pass moves. (Spectral normalisation goes a step on with
        every pass in training.)
    x
        Inputs ``[B, in...]``. Where they are differentiated in, so is the hinge.
    c
        The weight of the hinge, at least 0.
    gamma
        In (0, 100], or ``"max"``.
    exact
        True pushes all ``D`` axes, which takes as much memory as ``D`` forward passes. False pushes one direction of random signs
        for each input: an unbiased estimate for ``gamma=100``. None is exact for inputs of at most 32 numbers, and for other ``gamma``.
    generator
        Of the random signs.

    Raises :class:`loclin.UnsupportedOperator` for all other operators that the input comes to, for models that mix the inputs of a batch, and
    with ``exact`` for random numbers other than PyTorch's dropout; ``ValueError`` for numbers out of range, a model without neurons and one
    whose first pass is to make its parameters; ``TypeError`` for what is no module or tensor. Whether inputs are mixed is seen from a few passes
    beside the first call in each mode and the 2nd, 4th, 8th and so on.
    """
    _check_model(model)
    with _counts_kept(model):
        return _measured(model, x, c, gamma, exact, generator, moves=False)[0]


def roll_with_output(
    model: torch.nn.Module,
    x: Tensor,
    c: float,
    gamma: Union[float, str] = 100.0,
    *,
    exact: Optional[bool] = None,
    generator: Optional[torch.Generator] = None,
) -> Tuple[Tensor, Tensor]:
    """:func:`roll` and the model's output ``[B, ...]`` of the same pass, which saves the task's own: running statistics of
    normalisations move as in that."""
    _check_model(model)
    return _measured(model, x, c, gamma, exact, generator, moves=True)


def _check_model(model: torch.nn.Module) -> None:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, found {type(model).__name__}")
    check_initialised(model, "model")


@contextlib.contextmanager
def _counts_kept(model: torch.nn.Module) -> Iterator[None]:
    """Normalisations count the batches that they see in training; of this pass they do not."""
    counts = [(name, count.clone()) for name, count in model.named_buffers() if name.endswith("num_batches_tracked")]
    try:
        yield
    finally:
        own = dict(model.named_buffers())
        for name, count in counts:
            own[name].copy_(count)


def _measured(
    model: torch.nn.Module,
    x: Tensor,
    c: float,
    gamma: Union[float, str],
    exact: Optional[bool],
    generator: Optional[torch.Generator],
    moves: bool,
) -> Tuple[Tensor, Tensor]:
    """The loss, and the output; ``moves`` running statistics, or not."""
    percent = _percent(gamma)
    try:
        is_weight = bool(0 <= c < float("inf"))
    except (TypeError, RuntimeError) as cause:
        raise TypeError(f"c: expected a number, found {c!r}") from cause
    if not is_weight:
        raise ValueError(f"c: expected a finite number of at least 0, found {c}")
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a tensor of PyTorch, found {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"x: expected floating-point numbers, found {x.dtype}")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator, found {type(generator).__name__}")
    if torch.is_inference_mode_enabled():
        raise RuntimeError("loclin.torch.roll takes derivatives, which torch.inference_mode() rules out")
    if x.ndim < 2 or x.shape[0] == 0:
        raise ValueError(f"x: expected inputs [B, in...], found shape {list(x.shape)}")
    size = x[0].numel()
    if exact is None:
        exact = percent != 100.0 or size <= SMALL
    if percent != 100.0 and not exact:
        raise ValueError(f"gamma={gamma!r}: needs exact gradients (exact=True)")
    inputs, tangents, copies = (_axes if exact else _signs)(x, size, generator)
    seen = Neurons(len(inputs), copies, moves)
    with _TURN:
        _check_rows(model, x)
    with _TURN, forward_ad.dual_level():
        dual = seen.mark(forward_ad.make_dual(inputs, tangents))
        output = _called(model, dual, seen)
        if not isinstance(output, Tensor):
            raise TypeError(f"the model returns a {type(output).__name__}: expected one tensor")
        if forward_ad.unpack_dual(output).tangent is not None:
            seen.check(output)
        output = forward_ad.unpack_dual(output).primal
    if not seen.values:
        raise ValueError("the model has no neurons")
    losses: List[Tensor] = []
    for z, derivative in zip(seen.values, seen.derivatives):
        squares = (derivative**2).reshape(copies, len(x), -1).sum(0)
        hinge = torch.relu(1 - z.abs())
        losses.append(squares + c * hinge)
    every = torch.cat(losses, 1)
    output = output.reshape(copies, len(x), *output.shape[1:])[0]
    neurons = every.shape[1]
    count = 1 if percent is None else min(max(-int(-percent * neurons // 100), 1), neurons)
    if count < neurons:
        return every.gather(1, every.detach().topk(count, 1).indices).mean(), output
    return every.mean(), output


def _called(model: torch.nn.Module, dual: Tensor, seen: Neurons) -> Any:
    """The model at dual numbers."""
    try:
        with contextlib.ExitStack() as stack:
            # Where somebody else has hooks of this kind, they stay.
            with contextlib.suppress(RuntimeError):
                stack.enter_context(torch.autograd.graph.disable_saved_tensors_hooks(CHECKPOINTED))
            stack.enter_context(seen)
            return model(dual)
    except RuntimeError as cause:
        if CHECKPOINTED in str(cause):
            raise UnsupportedOperator(CHECKPOINTED) from None
        if not isinstance(cause, NotImplementedError):
            raise
        # Of a function of its own with a derivative for ``backward`` alone: hooks, checkpoints and wrappers have some.
        if "jvp" not in str(cause):
            raise
        raise UnsupportedOperator(HIDDEN) from cause


CHECKPOINTED = (
    "the model computes a part of itself again in backward() (torch.utils.checkpoint), where loclin.torch.roll sees no neurons; it takes the "
    "model without checkpoints"
)

#: How many calls of a model were let through in each mode, training or not.
_CALLS: "weakref.WeakKeyDictionary[torch.nn.Module, Dict[bool, int]]" = weakref.WeakKeyDictionary()


def _check_rows(model: torch.nn.Module, x: Tensor) -> None:
    """Refuses a model in which one input of a batch moves what another makes of itself; batch normalisation is seen to.

    Some inputs have a tangent, and what stands in front of the activations of the others must have none: for every two inputs, each without the
    other once. A model may begin to mix them while it learns: it is asked at the first call in each mode, and again at the 2nd, 4th, 8th and so
    on, which moves no buffer and no generator.
    """
    calls = _CALLS.setdefault(model, {})
    call = calls.get(model.training, 0) + 1
    if call & (call - 1):
        calls[model.training] = call
        return
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UnsupportedOperator(HIDDEN)
    x = x.detach()
    inputs = x if len(x) > 1 else torch.cat([x, x])
    count = len(inputs)
    numbers = torch.arange(count, device=x.device)
    directions = torch.randn(inputs.shape, generator=torch.Generator("cpu").manual_seed(0), device="cpu").to(inputs)
    places = [x.device] if x.device.type == "cuda" else []
    with state_kept(model):
        for bit in range((count - 1).bit_length()):
            for side in (0, 1):
                others = (numbers >> bit) % 2 == side
                tangents = directions * (~others).to(x).reshape(-1, *[1] * (x.ndim - 1))
                seen = Neurons(count, 1, False)
                with torch.random.fork_rng(places), torch.no_grad(), forward_ad.dual_level():
                    # The model may write over its input.
                    _called(model, seen.mark(forward_ad.make_dual(inputs.clone(), tangents)), seen)
                for derivative in seen.derivatives:
                    moved = derivative[others]
                    if not moved.isfinite().all():
                        # Of numbers that are none nothing can be said.
                        return
                    if moved.any():
                        raise UnsupportedOperator(MIXED)
    calls[model.training] = call


def _percent(gamma: Union[float, str]) -> Optional[float]:
    if isinstance(gamma, str) and gamma == "max":
        return None
    try:
        percent = float(gamma)
    except (TypeError, ValueError, RuntimeError):
        percent = 0.0
    if isinstance(gamma, str) or not 0 < percent <= 100:
        raise ValueError(f'gamma: expected a number in (0, 100] or "max", found {gamma!r}')
    return percent


def _axes(x: Tensor, size: int, _: Optional[torch.Generator]) -> Tuple[Tensor, Tensor, int]:
    """All inputs once for each axis, with the axis as their tangent."""
    axes = torch.eye(size, dtype=x.dtype, device=x.device).repeat_interleave(len(x), 0)
    copies = x.repeat(size, *[1] * (x.ndim - 1))
    return copies, axes.reshape(copies.shape), size


def _signs(x: Tensor, _: int, generator: Optional[torch.Generator]) -> Tuple[Tensor, Tensor, int]:
    """The inputs, each with a tangent of random signs."""
    place = x.device if generator is None else generator.device
    bits = torch.randint(0, 2, x.shape, generator=generator, device=place).to(device=x.device, dtype=x.dtype)
    return x.clone(), 2 * bits - 1, 1
