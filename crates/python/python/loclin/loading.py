"""Networks from files, bytes, PyTorch modules and arrays."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

import numpy as np

from . import _native
from ._arrays import array, whole
from ._progress import asking
from .network import Network, Path


def load(
    path: Path,
    *,
    architecture: Optional[Path] = None,
    output: Optional[str] = None,
    input_shape: Optional[Sequence[int]] = None,
    mean: Any = None,
    std: Any = None,
) -> Network:
    """Reads a model: ``.onnx``, ``.onnx.gz``, ``.nnet``, ``.safetensors``, a PyTorch state dict, or a run directory.

    ``architecture`` says what a state dict belongs to (a file, or a name such as ``torchvision/resnet18``), ``output`` which value of
    an ONNX graph is asked about, ``input_shape`` the sizes that a file leaves open. ``mean`` and ``std``, one number or one for each
    channel, normalise raw inputs in front of a model that does not do it itself.

    Raises ``FileNotFoundError``, :class:`loclin.ModelError` for what is no model, :class:`loclin.UnsupportedOperator` with the node.
    """
    said = _said(architecture, output, input_shape, mean, std)
    with asking(1, None) as how:
        return Network(_native.Network.load(os.fspath(path), said, how))


def _restored(data: bytes, kind: Type[Network] = Network) -> Network:
    """The network in the bytes of a ``.safetensors`` model file, which a subclass may be of."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.safetensors")
        with open(path, "wb") as file:
            file.write(data)
        found = kind.__new__(kind)
        vars(found).update(vars(load(path)))
        return found


def from_onnx(
    data: bytes,
    *,
    output: Optional[str] = None,
    input_shape: Optional[Sequence[int]] = None,
    mean: Any = None,
    std: Any = None,
) -> Network:
    """Reads the bytes of an ONNX file; the rest as :func:`load`."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data: expected the bytes of a file, found {type(data).__name__}; loclin.load reads files by their paths")
    said = _said(None, output, input_shape, mean, std)
    with asking(1, None) as how:
        return Network(_native.Network.from_onnx(bytes(data), said, how))


def from_torch(
    module: Any, example: Any, *, mean: Any = None, std: Any = None, exporter: Optional[str] = None
) -> Network:
    """A ``torch.nn.Module`` in evaluation mode, by ``torch.onnx.export`` into memory.

    ``example`` is a tensor of inputs ``[B, in...]``, of which the shape counts. A copy in float64 is exported, so that weights are
    those of the module, exactly; numbers in its code may become float32, which a :class:`LoclinWarning` says. Module and network are
    compared at some inputs, alone and in a batch: a module whose export is another function is refused. What is left out behind the
    logits is applied again for that; behind an ArgMax only labels are compared, which a warning says. ``exporter`` is ``"default"`` or
    ``"legacy"``; None tries both. ``mean`` and ``std`` as of :func:`load`.

    Raises :class:`loclin.UnsupportedOperator` with the node of an operator that is not piecewise linear, :class:`loclin.ModelError`
    where no exporter can do it, ``ValueError`` for a module that its first pass is to initialise.
    """
    from ._export import exported

    return exported(module, example, exporter, lambda data: from_onnx(data, mean=mean, std=std))


def from_weights(layers: Sequence[Tuple[Any, Any]]) -> Network:
    """A fully connected network of pairs of weights ``[out, in]`` and biases ``[out]``, with a ReLU between two of them.

    >>> import loclin, numpy as np
    >>> loclin.from_weights([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
    <loclin.Network: 2 -> 1, fully connected chain, hidden layers: 1>
    """
    pairs = []
    for at, layer in enumerate(layers):
        try:
            weight, bias = layer
        except (TypeError, ValueError) as cause:
            found = type(layer).__name__
            raise TypeError(f"layers[{at}]: expected a pair of a weight and a bias, found one {found}; without a bias give zeros") from cause
        pairs.append((array(weight, f"layers[{at}], weight"), array(bias, f"layers[{at}], bias")))
    inputs = None
    for at, (weight, bias) in enumerate(pairs):
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or inputs not in (None, weight.shape[1]):
            below = "" if inputs is None else f" behind {inputs} outputs"
            raise _native.ShapeError(
                f"layers[{at}]: expected a weight [out, in] and a bias [out]{below}, found {list(weight.shape)} and {list(bias.shape)}; "
                "weights [in, out], such as those of Keras, must be transposed"
            )
        inputs = weight.shape[0]
        for name, numbers in (("weight", weight), ("bias", bias)):
            if not np.isfinite(np.asarray(numbers, dtype=np.float64)).all():
                raise _native.NotFiniteError(f"layers[{at}], {name}: a number is not finite")
    return Network(_native.Network.from_weights(pairs))


def _said(
    architecture: Optional[Path], output: Optional[str], input_shape: Optional[Sequence[int]], mean: Any, std: Any
) -> Dict[str, Any]:
    if (mean is None) != (std is None):
        raise ValueError("mean, std: one without the other")

    def numbers(of: Any, what: str) -> List[float]:
        found = [] if of is None else [float(number) for number in array(of, what).ravel()]
        if of is not None and not found:
            raise ValueError(f"{what}: no numbers; expected one, or one for each channel")
        return found

    if output is not None and not isinstance(output, str):
        raise TypeError(f"output: expected the name of a value, found {output!r}")
    try:
        sizes = list(() if input_shape is None else input_shape)
    except TypeError as cause:
        raise TypeError(f"input_shape: expected the sizes of one input, such as (3, 32, 32), found {input_shape!r}") from cause
    means, stds = numbers(mean, "mean"), numbers(std, "std")
    if 1 in (len(means), len(stds)):
        # One number is that of all channels.
        channels = max(len(means), len(stds))
        means, stds = (of * channels if len(of) == 1 else of for of in (means, stds))
    return {
        "architecture": None if architecture is None else os.fspath(architecture),
        "output": output,
        "input_shape": [whole(size, f"input_shape[{at}]", 1) for at, size in enumerate(sizes)],
        "mean": means,
        "std": stds,
    }
