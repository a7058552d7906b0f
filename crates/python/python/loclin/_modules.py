"""What modules of PyTorch hold, and how they are left as they were."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import torch


def check_initialised(module: torch.nn.Module, what: str) -> None:
    """Refuses a module with parameters or buffers that have no numbers yet, of which each copy would draw others."""
    lazy: Any = torch.nn.parameter
    for own in (module.named_parameters, module.named_buffers):
        for name, tensor in own():
            if isinstance(tensor, lazy.UninitializedTensorMixin):
                raise ValueError(f"{what}: {name} has no numbers before the module's first pass; call it once before")


@contextlib.contextmanager
def state_kept(module: torch.nn.Module) -> Iterator[None]:
    """Afterwards parameters and buffers are the same tensors with the same numbers, whatever the module wrote or put in their place."""
    held = [
        (part, name, tensor, tensor.detach().clone())
        for part in module.modules()
        for own in (part.named_parameters, part.named_buffers)
        for name, tensor in own(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, name, tensor, before in held:
                if getattr(part, name) is not tensor:
                    setattr(part, name, tensor)
                # Versions say nothing of what was written to ``data``. What is as it was must not be written: derivatives may need it.
                if tensor.layout is torch.strided and not tensor.is_meta and not torch.equal(tensor, before):
                    tensor.copy_(before)
