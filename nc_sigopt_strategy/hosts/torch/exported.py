"""The module that a user gives, as a graph of aten ops, and what speaks against quantizing it."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.torch_files import read_program
from nc_sigopt_strategy.backends.torch_graph import sizes_of
from nc_sigopt_strategy.backends.torch_model import CallForm, TorchModel
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.find import shown_model
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.torch.computed_weights import hold_computed_weights
from nc_sigopt_strategy.hosts.torch.eager import evaluating_mode
from nc_sigopt_strategy.hosts.torch.functional import write_nothing_in_place, writes_through_views
from nc_sigopt_strategy.hosts.torch.paddings import fold_paddings
from nc_sigopt_strategy.hosts.torch.plain_outputs import returning_plain
from nc_sigopt_strategy.hosts.torch.tracing_errors import told_in_one_error
from nc_sigopt_strategy.hosts.torch.unsuitable import refuse_unsuitable, refuse_unsuitable_graph
from nc_sigopt_strategy.measurement.batches import pair_of
from nc_sigopt_strategy.measurement.feeding import as_array

_LABELS = ("label", "labels")


def given_module(model: Any) -> Any:
    """The module that a user gives, or the one of a program that was exported before.

    Args:
        model: A module, a program of ``torch.export``, or the path of one (.pt2).

    Raises:
        ModelError: The file is no such program, or one of another version of PyTorch.
    """
    if isinstance(model, (str, os.PathLike)):
        model = read_program(Path(model).expanduser())
    if isinstance(model, torch.export.ExportedProgram):
        return model.module(check_guards=False)
    return model


def export_module(given: Given, module: Any) -> TorchModel:
    """The user's module as it evaluates, traced with the first batch of its data.

    The first axis of every input may have any length where the module allows it.

    Args:
        given: Holds the dataloader, and what the user gave.
        module: That as a module. It is left as it was.

    Raises:
        ModelError: It cannot be exported, is not in float32 on the CPU, or is quantized already.
        DataError: The first batch does not fit ``forward``.
    """
    what = _shown(given.model)
    refuse_unsuitable(module, what)
    examples, by_name = _examples(module, given.calib_dataloader)
    with (
        told_in_one_error(shown_model(given.model)),
        evaluating_mode(module),
        returning_plain(module) as kinds,
    ):
        program = _exported(module, examples, by_name)
    graph = _functional(program)
    refuse_unsuitable_graph(graph, what)
    hold_computed_weights(graph)
    fold_paddings(graph)
    return TorchModel(graph, CallForm(_inputs(graph, examples), by_name, kinds[-1]))


def _functional(program: Any) -> Any:
    """The graph of a program, made anew so that nothing in it is overwritten."""
    # A batch of one is fine, though it was traced with more.
    graph = copy.deepcopy(program.module(check_guards=False))
    if writes_through_views(graph):
        graph = copy.deepcopy(program.run_decompositions({}).module(check_guards=False))
    write_nothing_in_place(graph)
    return graph


def _exported(module: Any, examples: Mapping[str, Any], by_name: bool) -> Any:
    axes = {name: {0: torch.export.Dim.AUTO} if x.ndim else None for name, x in examples.items()}
    inputs = () if by_name else tuple(examples.values())
    named = dict(examples) if by_name else None
    try:
        shapes = axes if by_name else tuple(axes.values())
        with torch.no_grad():
            return torch.export.export(module, inputs, named, dynamic_shapes=shapes)
    except Exception:  # a module for one batch size only
        with torch.no_grad():
            return torch.export.export(module, inputs, named)


def _examples(module: Any, loader: Any) -> tuple[dict[str, Any], bool]:
    """Input name to a tensor of two or more, and whether ``forward`` gets them by name."""
    first = next(iter(loader), None) if loader is not None else None
    if first is None:
        raise DataError(
            "A PyTorch module is traced with the first calibration batch, and there is none.",
            "Give a calib_dataloader that yields (inputs, labels).",
        )
    batch, _ = pair_of(first, 0)
    parameters = inspect.signature(module.forward).parameters
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
        return {name: _example(value, name) for name, value in found.items()}, True
    parts = list(batch) if _holds_several(batch, parameters) else [batch]
    names = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    names = names[: len(parts)] if len(names) >= len(parts) else []
    names = names or [f"input_{position}" for position in range(len(parts))]
    return {n: _example(part, n) for n, part in zip(names, parts, strict=True)}, False


def _holds_several(batch: Any, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a batch is inputs by position, and no list of rows of the one input."""
    if not isinstance(batch, (list, tuple)):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters.values() if p.default is p.empty and p.kind in positional]
    alone = len(batch) == 1 and hasattr(batch[0], "shape")
    return isinstance(batch, tuple) or alone or len(required) > 1


def _example(value: Any, name: str) -> Any:
    array = np.asarray(as_array(value, f"Input {name!r} of calibration batch 0"))
    if array.ndim and len(array) == 1:
        # torch.export takes a length of 1 for a constant.
        array = np.concatenate([array, array])
    if array.dtype.kind == "f":
        # A module in float32 computes with nothing else.
        array = array.astype(np.float32)
    return torch.from_numpy(np.array(array))


def _inputs(graph: Any, examples: Mapping[str, Any]) -> tuple[ModelInput, ...]:
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    found = []
    for node, (name, example) in zip(placeholders, examples.items(), strict=True):
        found.append(ModelInput(name, sizes_of(node.meta["val"]), example.numpy().dtype))
    return tuple(found)


def _shown(model: Any) -> str:
    found = shown_model(model)
    return found[0].upper() + found[1:] if found.startswith("the given") else found
