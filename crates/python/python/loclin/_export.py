"""PyTorch modules as the bytes of ONNX files."""

from __future__ import annotations

import ast
import copy
import importlib
import io
import logging
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from ._native import ModelError, UnsupportedOperator

Read = TypeVar("Read")

#: How each exporter is asked; neither may change weights.
EXPORTERS: Dict[str, Dict[str, Any]] = {
    "default": {"dynamo": True, "optimize": False, "verbose": False},
    "legacy": {"dynamo": False, "do_constant_folding": False},
}


def exported(module: Any, example: Any, exporter: Optional[str], read: Callable[[bytes], Read]) -> Read:
    """What ``read`` makes of the exported module: by the first exporter whose file it takes."""
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, found {type(module).__name__}")
    if exporter is not None and exporter not in EXPORTERS:
        raise ValueError(f"exporter: expected one of {', '.join(EXPORTERS)}, found {exporter!r}")
    if not isinstance(example, torch.Tensor):
        example = torch.as_tensor(example)
    if example.ndim == 0 or example.shape[0] == 0:
        raise ValueError(f"example: expected inputs [B, in...], found shape {list(example.shape)}")
    causes: List[str] = []
    refused: Optional[UnsupportedOperator] = None
    for name in EXPORTERS if exporter is None else (exporter,):
        for kind, wanted, one in _versions(module, example[:1].detach()):
            try:
                data = _bytes(wanted, one, EXPORTERS[name])
            except Exception as cause:  # noqa: BLE001 - exporters raise what they like
                first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
                causes.append(f"{name} exporter, {kind}: {first}")
                continue
            try:
                return read(data)
            except UnsupportedOperator as cause:
                # The other exporter may write it in other operators.
                refused = refused or cause
                break
    if refused is not None:
        raise refused
    raise ModelError(f"{type(module).__name__}: torch.onnx.export cannot export it: " + "; ".join(causes))


def _versions(module: Any, example: Any) -> Iterator[Tuple[str, Any, Any]]:
    """The module in evaluation mode on the host: in float64, which holds its weights exactly, else as it is."""
    try:
        wide = copy.deepcopy(module).cpu().double().eval()
    except Exception:  # noqa: BLE001 - whatever cannot be copied is exported as it is
        wide = None
    if wide is not None:
        wide = _with_wide_slopes(wide)
        yield "float64", wide, example.cpu().double()
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        own = next((p for p in module.parameters() if p.is_floating_point()), None)
        yield "as it is", module, example if own is None else example.to(device=own.device, dtype=own.dtype)
    finally:
        # Each part in its own mode again.
        for part, training in modes:
            part.training = training


def _with_wide_slopes(module: Any) -> Any:
    """The module with its LeakyReLUs as PReLUs: numbers that are attributes of ONNX are float32, those that are weights are not."""
    import torch

    if isinstance(module, torch.nn.LeakyReLU):
        return torch.nn.PReLU(1, init=module.negative_slope, dtype=torch.float64)
    for name, part in list(module.named_children()):
        setattr(module, name, _with_wide_slopes(part))
    return module


def _bytes(module: Any, example: Any, options: Dict[str, Any]) -> bytes:
    torch: Any = importlib.import_module("torch")
    target = io.BytesIO()
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if options["dynamo"]:
                program = torch.onnx.export(module, (example,), **options)
                _name_after_modules(program.model.graph)
                program.save(target)
            else:
                mode = torch.onnx.TrainingMode.EVAL
                torch.onnx.export(module, (example,), target, training=mode, **options)
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
    return target.getvalue()


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
