"""PyTorch modules as the bytes of ONNX files."""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib
import io
import logging
import os
import re
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from ._arrays import Floats, warn
from ._native import ModelError, UnsupportedOperator

if TYPE_CHECKING:
    from .network import Network

#: What is made of a network's outputs, how they are compared with a module's, and how many numbers are before, along and behind a dimension.
Scores = Callable[[Floats], Floats]
Compared = Callable[[Floats, Floats], Tuple[float, str]]
Split = Tuple[int, int, int]

#: How each exporter is asked; neither may change weights.
EXPORTERS: Dict[str, Dict[str, Any]] = {
    "default": {"dynamo": True, "optimize": False, "verbose": False},
    "legacy": {"dynamo": False, "do_constant_folding": False},
}

#: Left out behind the logits: operators that can be applied to them again, and those among them that keep every number.
AGAIN = {"Softmax", "LogSoftmax", "Sigmoid", "Concat", "ArgMax"}
SAME = {"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten"}

#: Of the largest output: what differs by more is another function, what differs by less is rounding alone.
ANOTHER, ROUNDING = 1e-4, 1e-11

#: Beside the example, times its largest number: how large the random inputs are at which module and network are compared. Of inputs of more
#: than so many numbers the first two.
FACTORS, MANY = (1.0, 10.0, 0.1, 1.0, 1.0, 3.0, 3.0, 10.0), 10_000

#: An example with larger numbers is taken for memory that nobody wrote.
LARGE = 1e6


def exported(module: Any, example: Any, exporter: Optional[str], read: Callable[[bytes], "Network"]) -> "Network":
    """What ``read`` makes of the exported module: of the exporters whose files it takes, the first whose network is the module, else
    the one that comes nearest, with a warning."""
    import torch

    from ._modules import check_initialised

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, found {type(module).__name__}")
    if exporter is not None and exporter not in EXPORTERS:
        raise ValueError(f"exporter: expected one of {', '.join(EXPORTERS)}, found {exporter!r}")
    if not isinstance(example, torch.Tensor):
        try:
            example = torch.as_tensor(example)
        except (TypeError, ValueError, RuntimeError) as cause:
            found = type(example).__name__
            raise TypeError(f"example: expected one tensor of inputs [B, in...], found {found} ({cause})") from cause
    if example.device.type == "meta":
        example = torch.zeros(example.shape, dtype=example.dtype, device="cpu")
    if example.ndim == 0 or example.shape[0] == 0:
        raise ValueError(f"example: expected inputs [B, in...], found shape {list(example.shape)}")
    check_initialised(module, "module")
    name = type(module).__name__
    # Each with the ways in which it came up.
    causes: Dict[str, List[str]] = {}

    def failed(way: str, cause: str) -> None:
        causes.setdefault(cause, []).append(way)

    refused: Optional[UnsupportedOperator] = None
    is_another = False
    nearest: Optional[Tuple[float, "Network", str, List[str]]] = None
    for kind, wanted, one in _versions(module, example[:1].detach()):
        try:
            own = _Answers(wanted, one)
        except Exception as cause:  # noqa: BLE001 - modules raise what they like
            failed(kind, f"on an example of shape {list(one.shape)} it raises {_in_words(cause)}")
            continue
        if own.too_few is not None:
            raise ModelError(f"{name}: {own.too_few}")
        for each in EXPORTERS if exporter is None else (exporter,):
            try:
                data, doubts = _bytes(wanted, one, EXPORTERS[each], own.is_written)
            except Exception as cause:  # noqa: BLE001 - exporters raise what they like
                failed(f"{each} exporter, {kind}", _in_words(cause))
                continue
            try:
                network = read(data)
            except UnsupportedOperator as cause:
                # The other exporter may write it in other operators.
                refused = refused or cause
                continue
            apart, where, compared = own.apart(network)
            if apart > ANOTHER:
                is_another = True
                failed(f"{each} exporter, {kind}", f"{where}{_doubted(doubts)}")
                continue
            if nearest is None or apart < nearest[0]:
                nearest = apart, network, compared, doubts
            if apart <= ROUNDING:
                break
        if nearest is not None or refused is not None or is_another:
            break
    if nearest is not None:
        apart, network, compared, doubts = nearest
        _warn(name, apart, compared, doubts)
        return network
    if refused is not None:
        raise refused
    said = "; ".join(f"{', '.join(ways)}: {cause}" for cause, ways in causes.items())
    raise ModelError(f"{name}: cannot be exported as it computes; {said}")


def _warn(name: str, apart: float, compared: str, doubts: List[str]) -> None:
    """Says where the network may not be the module."""
    notes = []
    if apart > ROUNDING:
        notes.append(
            f"its network's outputs differ from the module's by up to {apart:.1e} of the largest, as where numbers in its code "
            "become float32; what is proved is proved of the network as exported"
        )
    if doubts or compared != OUTPUTS:
        alone = "" if compared == OUTPUTS else ", which other logits may have, too"
        notes.append(f"module and network have the same {compared} at the inputs that were tried{alone}{_doubted(doubts)}")
    for note in notes:
        warn(f"{name}: {note}")


#: What of a module and its network can be compared.
OUTPUTS, LABELS, ORDER = "outputs", "labels", "order of outputs"


def _doubted(doubts: List[str]) -> str:
    return f"; the exporter says: {doubts[0]}" if doubts else ""


class _Answers:
    """What a module answers at some inputs, which a network of it must answer, too."""

    def __init__(self, module: Any, example: Any) -> None:
        """Raises what the module raises at the example, and ``TypeError`` where it does not return one tensor."""
        import torch

        random = torch.Generator("cpu").manual_seed(0)
        size = float(example.abs().max())
        if not 0 < size < LARGE:
            # Of an example the shape counts: it may be empty memory.
            example, size = torch.zeros_like(example), 1.0
        factors = torch.tensor(FACTORS[: 2 if example.numel() > MANY else None], dtype=torch.float64, device="cpu")
        drawn = torch.randn((len(factors), *example.shape[1:]), generator=random, dtype=torch.float64, device="cpu")
        drawn = size * factors.reshape(-1, *[1] * (example.ndim - 1)) * drawn
        drawn = drawn.to(device=example.device, dtype=example.dtype)
        self.inputs = torch.cat([example, -example, torch.zeros_like(example), drawn, -drawn])
        # What the module's own type rounds; in float64 nothing that counts.
        self.slack = 1e3 * torch.finfo(example.dtype).eps if example.dtype.itemsize < 8 and example.is_floating_point() else 0.0
        # Whether it writes over its inputs; the shape of one output, its type's rounding, and whether it holds numbers or labels.
        self.is_written = False
        self.shape: Tuple[int, ...] = ()
        self.rounding, self.is_floating = 0.0, True
        self.outputs: Dict[int, Any] = {0: self._of(module, example)}
        self.together: Optional[Any] = None
        # Where it mixes them, what it returns of all inputs together.
        self.too_few: Optional[str] = None
        for index in range(1, len(self.inputs)):
            try:
                self.outputs[index] = self._of(module, self.inputs[index : index + 1])
            except Exception:  # noqa: BLE001, PERF203 - the module may know which inputs it takes
                continue
        if len(self.outputs) == len(self.inputs):
            try:
                found = self._raw(module, self.inputs)
            except Exception:  # noqa: BLE001 - of one batch size alone
                return
            if found.size % len(self.inputs) == 0:
                self.together = found.reshape(len(self.inputs), -1)
            else:
                self.too_few = (
                    f"of {len(self.inputs)} inputs together the module returns shape {list(found.shape)}, which has no row for each: it "
                    "mixes the first dimension, which is the batch; a module around it can take inputs [B, in...] and return [B, out...]"
                )

    def _of(self, module: Any, x: Any) -> Any:
        return self._raw(module, x).reshape(len(x), -1)

    def _raw(self, module: Any, x: Any) -> Any:
        import torch

        given = x.clone()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = module(given)
        if not isinstance(found, torch.Tensor):
            raise TypeError(
                f"a result that is a {type(found).__name__}: expected one tensor; a module around it can return the one that is meant"
            )
        self.is_written = self.is_written or given.shape != x.shape or not torch.equal(given, x)
        self.shape, self.is_floating = tuple(found.shape[1:]), found.is_floating_point()
        self.rounding = torch.finfo(found.dtype).eps if self.is_floating and found.dtype.itemsize < 8 else 0.0
        return found.detach().cpu().double().numpy()

    def apart(self, network: "Network") -> Tuple[float, str, str]:
        """By what share of its largest output a network differs, beyond the module's own rounding, in words where, and what was compared.

        What the network is read without is applied to its outputs again: of the ways in which that may be meant the one that comes nearest.
        """
        points = self.inputs.detach().cpu().double().numpy()
        raw = points
        if network.normalization is not None:
            shape = (-1, *[1] * (points.ndim - 2)) if points.ndim > 2 else (-1,)
            mean, std = (np.reshape(numbers, shape) for numbers in network.normalization)
            raw = points * std + mean
        found = {index: network.forward(raw[index : index + 1]).ravel() for index in self.outputs}
        what, ways = self._ways(_left_out(network), network.outputs)
        nearest: Optional[Tuple[float, str]] = None
        for way in ways:
            worst, where = 0.0, ""
            for index, own in self.outputs.items():
                every = [("", own)]
                if self.together is not None:
                    every.append((f" in a batch of {len(points)}", self.together[index : index + 1]))
                for which, output in every:
                    share, said = way(output.ravel(), found[index])
                    if share > worst:
                        place = ", ".join(f"{number:.3g}" for number in points[index].ravel()[:4])
                        place += ", ..." if points[index].size > 4 else ""
                        worst, where = share, f"at the input [{place}]{which} {said}"
                if nearest is not None and worst >= nearest[0]:
                    break
            if nearest is None or worst < nearest[0]:
                nearest = worst, where
            if nearest[0] <= ROUNDING:
                break
        if nearest is None:
            sizes = f"there are {self.outputs[0].size} outputs, which are not made of the network's {network.outputs}"
            nearest = np.inf, sizes
        return (*nearest, what)

    def _ways(self, heads: List[str], outputs: int) -> Tuple[str, Iterator[Compared]]:
        """What can be compared where these operators stand behind so many outputs of a network, and the ways to do it, each a function of an
        output and the network's: they are as many as there are dimensions that an operator may run along, which its name does not say."""
        is_known = AGAIN.issuperset(heads)
        if is_known and "ArgMax" in heads:
            before = heads[: heads.index("ArgMax")]
            own = self.outputs[0].size
            return LABELS, (
                partial(self._by_labels, scores, split)
                for size, scores in _again(before, outputs, self.shape)
                for split in _splits(size, ())
                if split[0] * split[2] == own
            )
        if not is_known or not self.is_floating:
            return ORDER, iter([self._in_order])
        return OUTPUTS, (partial(self._by_values, scores, bool(heads)) for _, scores in _again(heads, outputs, self.shape))

    def _largest(self) -> float:
        """The largest finite output."""
        finite = (np.abs(own[np.isfinite(own)]).max(initial=0.0) for own in self.outputs.values())
        return float(max(finite, default=0.0)) or 1.0

    def _by_values(self, scores: Scores, has_heads: bool, output: Any, logits: Any) -> Tuple[float, str]:
        found = scores(logits)
        if output.size != found.size:
            return np.inf, f"there are {output.size} outputs, of which the network has {found.size}"
        slack = self.slack
        if has_heads:
            # By what rounding the logits, and the output alone, may be apart.
            slack = (slack + ROUNDING) * max(float(np.abs(logits).max()) / self._largest(), 1.0) + self.rounding
        # What is no number, or infinite, is no output of the network.
        apart = np.where(np.isfinite(output), np.abs(output - found) / self._largest(), np.inf)
        at = int(np.argmax(apart))
        said = f"output {at} is {output[at]:.6g}, by the exported network {found[at]:.6g}"
        return max(float(apart[at]) - slack, 0.0), said

    def _by_labels(self, scores: Scores, split: Split, output: Any, logits: Any) -> Tuple[float, str]:
        """Whether the labels have the largest scores, of which several may be equal."""
        found = scores(logits).reshape(split)
        labels = output.reshape(split[0], 1, split[2])
        is_label = (labels == np.round(labels)) & (labels >= 0) & (labels < split[1])
        own = np.take_along_axis(found, np.where(is_label, labels, 0).astype(np.int64), 1)
        short = found.max(1, keepdims=True) - own > max(1e-9, self.slack) * np.abs(found).max()
        return (np.inf if short.any() or not is_label.all() else 0.0), "the labels are others than by the exported network"

    def _in_order(self, output: Any, found: Any) -> Tuple[float, str]:
        """Of what is left out behind the logits nothing is known but that it keeps their order, or makes labels of them."""
        if output.size != found.size:
            return 0.0, ""
        order = np.argsort(-output, kind="stable")
        clear = -np.diff(output[order]) > 1e-9 * self._largest()
        is_other = (np.diff(found[order])[clear] > 0).any()
        return (np.inf if is_other else 0.0), "the order of the outputs is another than by the exported network"


def _left_out(network: "Network") -> List[str]:
    """The operators that a network is read without, in their order, but for those that keep every number."""
    found = (re.search(r"without (.+) behind it", note) for note in network._native.notes)
    names = [name for each in found if each for name in reversed(each.group(1).split(", "))]
    return [name for name in names if name not in SAME]


def _splits(size: int, shape: Tuple[int, ...]) -> Iterator[Split]:
    """What so many numbers in a row may be before, along and behind one dimension: first those of a shape, the last dimension first."""
    if int(np.prod(shape)) == size:
        yield from ((int(np.prod(shape[:at])), shape[at], int(np.prod(shape[at + 1 :]))) for at in reversed(range(len(shape))))
    divisors = [number for number in range(1, size + 1) if size % number == 0]
    yield from ((size // along // behind, along, behind) for behind in divisors for along in divisors if size % (along * behind) == 0)


def _again(heads: List[str], size: int, shape: Tuple[int, ...]) -> Iterator[Tuple[int, Scores]]:
    """What these operators, one after another, may make of so many numbers: how many others, and which."""
    if not heads:
        yield size, lambda logits: logits
        return
    own, *others = heads
    ways: Iterator[Tuple[int, Scores]]
    if own == "Sigmoid":
        ways = iter([(size, lambda logits: np.exp(-np.logaddexp(0, -logits)))])
    elif own == "Concat":
        ways = ((2 * size, partial(_of_two, split)) for split in _splits(size, ()) if split[1] == 1)
    else:
        ways = ((size, partial(_softmax, own == "LogSoftmax", split)) for split in _splits(size, shape))
    for made, once in ways:
        for last, then in _again(others, made, shape):
            yield last, partial(_chained, once, then)


def _chained(once: Scores, then: Scores, logits: Floats) -> Floats:
    return then(once(logits))


def _softmax(is_log: bool, split: Split, logits: Floats) -> Floats:
    below = logits.reshape(split) - logits.reshape(split).max(1, keepdims=True)
    logs: Floats = (below - np.log(np.exp(below).sum(1, keepdims=True))).ravel()
    return logs if is_log else np.exp(logs)


def _of_two(split: Split, p: Floats) -> Floats:
    """The probabilities of two classes by that of the second."""
    return np.concatenate([1 - p.reshape(split), p.reshape(split)], 1).ravel()


def _in_words(cause: BaseException) -> str:
    """The type and text of the innermost cause, without what colours a terminal."""
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = re.sub("\x1b\\[[0-9;]*m", "", str(cause)).strip()
    return f"{type(cause).__name__}: {' '.join(text.splitlines()[:1])[:300]}" if text else type(cause).__name__


def _versions(module: Any, example: Any) -> Iterator[Tuple[str, Any, Any]]:
    """The module in evaluation mode on the host: in float64, which holds its weights exactly, else as it is."""
    from ._modules import state_kept

    try:
        wide = copy.deepcopy(module).cpu().double().eval()
    except Exception as cause:  # noqa: BLE001 - whatever cannot be copied is exported as it is
        wide = None
        if any(p.is_floating_point() and p.dtype.itemsize < 8 for p in module.parameters()):
            warn(f"the module cannot be copied ({_in_words(cause)}): it is exported in its own type, not in float64")
    if wide is not None:
        yield "float64", _with_wide_numbers(wide), example.cpu().double()
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        own = next((p for p in module.parameters() if p.is_floating_point()), None)
        with state_kept(module):
            yield "as it is", module, example if own is None else example.to(device=own.device, dtype=own.dtype)
    finally:
        # Each part in its own mode again.
        for part, training in modes:
            part.training = training


def _with_wide_numbers(module: Any) -> Any:
    """The module with numbers in place of those that ONNX has as attributes, in float32: LeakyReLUs as PReLUs, whose slopes are weights,
    and normalisations with a share of their epsilon in their variances. Subclasses and modules with hooks compute what they like."""
    import torch

    nn = torch.nn
    is_plain = not (module._forward_hooks or module._forward_pre_hooks)
    if type(module) is nn.LeakyReLU and is_plain:
        wide = nn.PReLU(1, init=module.negative_slope, dtype=torch.float64)
        # What modules around it may read.
        wide.negative_slope, wide.inplace = module.negative_slope, module.inplace
        return wide
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    if type(module) in kinds and is_plain and module.running_var is not None:
        single = np.float32(module.eps)
        single = single if single <= module.eps else np.nextafter(single, np.float32(0))
        # A copy, which other modules may share.
        module.running_var = module.running_var + (module.eps - float(single))
        module.eps = float(single)
    # Where a module is more than once, each time.
    for name, part in list(module._modules.items()):
        if part is not None:
            setattr(module, name, _with_wide_numbers(part))
    return module


def _bytes(module: Any, example: Any, options: Dict[str, Any], is_written: bool) -> Tuple[bytes, List[str]]:
    """The file, and where its exporter says that what the module computes may depend on the input in ways that it does not see.

    A module that writes over its inputs is exported as what it is of copies."""
    torch: Any = importlib.import_module("torch")
    target = io.BytesIO()
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    example = example.clone()
    hook = module.register_forward_pre_hook(lambda _, inputs: (inputs[0].clone(),)) if is_written else None
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if options["dynamo"]:
                program = torch.onnx.export(module, (example,), **options)
                _name_after_modules(program.model.graph)
                program.save(target)
            else:
                mode = torch.onnx.TrainingMode.EVAL
                with _graphs_left_out():
                    torch.onnx.export(module, (example,), target, training=mode, **options)
    finally:
        if hook is not None:
            hook.remove()
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
    doubts = [str(note.message).strip() for note in said if note.category.__name__ == "TracerWarning"]
    return target.getvalue(), [" ".join(doubt.splitlines()[:1]) for doubt in doubts]


@contextlib.contextmanager
def _graphs_left_out() -> Iterator[None]:
    """Where it fails, the exporter writes whole graphs to the process's standard output, past Python's."""
    try:
        sys.stdout.flush()
        kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    except (AttributeError, OSError, ValueError):
        yield
        return
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


def _name_after_modules(graph: Any) -> None:
    """Gives nodes the names of the modules that they come from (``layer1.0.relu``), as far as the exporter says it."""
    taken: Dict[str, int] = {}
    for node in graph:
        try:
            scopes = ast.literal_eval(node.metadata_props["pkg.torch.onnx.name_scopes"])
        except (AttributeError, KeyError, SyntaxError, ValueError):
            continue
        # The first is the module itself, the last the operation.
        name = next((scope for scope in reversed(scopes[:-1]) if scope), "")
        if name:
            taken[name] = taken.get(name, 0) + 1
            node.name = name if taken[name] == 1 else f"{name}#{taken[name]}"
