"""What a PyTorch module is traced with, of whatever a dataloader yields."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.measurement.batches import pair_of
from nc_sigopt_strategy.measurement.feeding import as_array

_LABELS = ("label", "labels")


def example_inputs(module: Any, loader: Any, least: int = 1) -> tuple[dict[str, Any], bool]:
    """What a module is traced with: the first batch of the user's data.

    Args:
        module: The user's; its ``forward`` says how it takes its inputs.
        loader: Yields ``(inputs, labels)``, or mappings that hold both.
        least: How many inputs the tensors hold at least; 2, where a length of 1 would be taken for
            a constant. A batch of 1 is repeated.

    Returns:
        Input name to tensor, in the order of ``forward``'s parameters where it takes them by
        position, and whether it gets them by name.

    Raises:
        DataError: There is no batch, or it does not fit ``forward``.
    """
    first = next(iter(loader), None) if loader is not None else None
    if first is None:
        raise DataError(
            "A PyTorch module is traced with the first calibration batch, and there is none.",
            "Give a calib_dataloader that yields (inputs, labels).",
        )
    batch, _ = pair_of(first, 0)
    parameters = _parameters(module)
    if isinstance(batch, Mapping):
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        found = {
            str(key): value
            for key, value in batch.items()
            if (key in parameters or takes_any) and key not in _LABELS
        }
        if not found:
            raise DataError(
                f"The first calibration batch has the keys {', '.join(map(repr, batch))}, and "
                f"forward takes {', '.join(map(repr, parameters))}.",
                "Let the dataloader yield a dict with a key for each input of the module.",
            )
        return {name: _example(value, name, least) for name, value in found.items()}, True
    parts = list(batch) if _holds_several(batch, parameters) else [batch]
    names = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    names = names[: len(parts)] if len(names) >= len(parts) else []
    names = names or [f"input_{position}" for position in range(len(parts))]
    return {n: _example(part, n, least) for n, part in zip(names, parts, strict=True)}, False


def _holds_several(batch: Any, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a batch is inputs by position, and no list of rows of the one input."""
    if not isinstance(batch, (list, tuple)):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters.values() if p.default is p.empty and p.kind in positional]
    alone = len(batch) == 1 and hasattr(batch[0], "shape")
    return isinstance(batch, tuple) or alone or len(required) > 1


def _parameters(module: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(module.forward).parameters
    except ValueError:
        # TorchScript has no signature that Python knows.
        return {}


def _example(value: Any, name: str, least: int) -> Any:
    array = np.asarray(as_array(value, f"Input {name!r} of calibration batch 0"))
    if array.ndim and 0 < len(array) < least:
        array = np.concatenate([array] * least)
    if array.dtype.kind == "f":
        # A module in float32 computes with nothing else.
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array))
