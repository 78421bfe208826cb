"""The module that a user gives, as a graph of aten ops, and what speaks against quantizing it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.torch_files import read_program
from nc_sigopt_strategy.backends.torch_graph import sizes_of
from nc_sigopt_strategy.backends.torch_model import CallForm, TorchModel
from nc_sigopt_strategy.hosts.find import shown_at_start, shown_model
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.torch.computed_weights import hold_computed_weights
from nc_sigopt_strategy.hosts.torch.eager import evaluating_mode
from nc_sigopt_strategy.hosts.torch.example_inputs import example_inputs
from nc_sigopt_strategy.hosts.torch.functional import write_nothing_in_place, writes_through_views
from nc_sigopt_strategy.hosts.torch.layers_by_hand import spell_layers
from nc_sigopt_strategy.hosts.torch.paddings import fold_paddings
from nc_sigopt_strategy.hosts.torch.plain_outputs import returning_plain
from nc_sigopt_strategy.hosts.torch.tracing_errors import told_in_one_error
from nc_sigopt_strategy.hosts.torch.unsuitable import (
    refuse_torchscript,
    refuse_unsuitable,
    refuse_unsuitable_graph,
)


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
    what = shown_at_start(given.model)
    refuse_torchscript(module, what)
    refuse_unsuitable(module, what)
    examples, by_name = example_inputs(module, given.calib_dataloader, least=2)
    with (
        told_in_one_error(shown_model(given.model)),
        evaluating_mode(module),
        returning_plain(module) as kinds,
    ):
        program = _exported(module, examples, by_name)
    graph = rewritten(program, what)
    return TorchModel(graph, CallForm(_inputs(graph, examples), by_name, kinds[-1]))


def rewritten(program: Any, what: str = "The program") -> torch.fx.GraphModule:
    """The graph of a program, as it is quantized: the same function in ops that PT2E knows.

    Args:
        program: As ``torch.export`` made it of a module; not changed.
        what: It in words, as a sentence begins.

    Raises:
        ModelError: It trains, computes in bf16 by itself, or is quantized already.
    """
    graph = _functional(program)
    refuse_unsuitable_graph(graph, what)
    spell_layers(graph)
    hold_computed_weights(graph)
    fold_paddings(graph)
    return graph


def _functional(program: Any) -> torch.fx.GraphModule:
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


def _inputs(graph: Any, examples: Mapping[str, Any]) -> tuple[ModelInput, ...]:
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    # Keywords come in the order of forward's parameters, whatever order they were given in.
    named = {node.name: node for node in placeholders}
    by_position = dict(zip(examples, placeholders, strict=True))
    nodes = named if named.keys() == examples.keys() else by_position
    return tuple(
        ModelInput(name, sizes_of(nodes[name].meta["val"]), example.numpy().dtype)
        for name, example in examples.items()
    )
