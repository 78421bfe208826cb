"""A PyTorch module as ``openvino.Model``: traced with the first batch of the user's data.

Tracing writes down which way the module went for that batch. Where that depends on the values in
it, the model would be another function than the module, and nothing would tell; so wherever
torch's tracer saw a value become a number of Python's, ``torch.export``, which refuses just
that, is asked.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import openvino as ov
import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from nc_sigopt_strategy.backends.torch_outputs import plain, tensors_in
from nc_sigopt_strategy.hosts.find import shown_at_start, shown_model
from nc_sigopt_strategy.hosts.torch.eager import evaluating_mode
from nc_sigopt_strategy.hosts.torch.example_inputs import example_inputs
from nc_sigopt_strategy.hosts.torch.plain_outputs import returning
from nc_sigopt_strategy.hosts.torch.tracing_errors import told_in_one_error
from nc_sigopt_strategy.hosts.torch.unsuitable import refuse_unsuitable


def traced_module(module: Any, loader: Any) -> ov.Model:
    """A module as it evaluates; it is left as it was.

    Args:
        module: A ``torch.nn.Module``, or TorchScript.
        loader: Yields ``(inputs, labels)``.

    Raises:
        ModelError: It is not one in float32 on the CPU, is quantized already, or what it does
            depends on the values in its inputs. What OpenVINO cannot convert comes as its own
            errors.
        DataError: The first batch does not fit ``forward``.
    """
    refuse_unsuitable(module, shown_at_start(module))
    examples, by_name = example_inputs(module, loader)
    example: Any = dict(examples) if by_name else tuple(examples.values())
    if not by_name and len(example) == 1:
        example = example[0]
    with evaluating_mode(module), _without_fast_path(), _returning_tensors(module):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            model = ov.convert_model(module, example_input=example)
        if any(issubclass(one.category, torch.jit.TracerWarning) for one in seen):
            _refuse_data_dependence(module, examples, by_name)
    _name_inputs(model, examples)
    return model


def _refuse_data_dependence(module: Any, examples: Mapping[str, Any], by_name: bool) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        return
    inputs = () if by_name else tuple(examples.values())
    with told_in_one_error(shown_model(module)):
        try:
            with torch.no_grad():
                torch.export.export(module, inputs, dict(examples) if by_name else None)
        except GuardOnDataDependentSymNode:
            raise
        except Exception:  # what else speaks against torch.export is none of OpenVINO's concern
            return


def _name_inputs(model: ov.Model, examples: Mapping[str, Any]) -> None:
    """Call each input as ``forward`` does, and in no other way: tracing counts some of them."""
    inputs = model.inputs
    if len(inputs) != len(examples):
        return
    told = [found.get_names() | {found.get_node().get_friendly_name()} for found in inputs]
    free = [name for name in examples if not any(name in names for names in told)]
    for found, names in zip(inputs, told, strict=True):
        name = next((name for name in examples if name in names), None) or free.pop(0)
        found.get_tensor().set_names({name})
        found.get_node().set_friendly_name(name)


@contextlib.contextmanager
def _without_fast_path() -> Iterator[None]:
    """Inside, transformer layers are made of ops, not of one that only PyTorch has."""
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def _returning_tensors(module: Any) -> AbstractContextManager[None]:
    """Inside, a module returns tensors, in a dict or a tuple, whatever its ``forward`` returns."""
    if isinstance(module, torch.jit.ScriptModule):
        return contextlib.nullcontext()
    return returning(module, _tensors)


def _tensors(outputs: Any) -> Any:
    if isinstance(outputs, torch.Tensor):
        return outputs
    found = plain(outputs)
    tensors = tensors_in(found)
    if isinstance(found, dict):
        named = {key: part for key, part in found.items() if isinstance(part, torch.Tensor)}
        if len(named) == len(tensors):
            return named
    return tuple(tensors)
