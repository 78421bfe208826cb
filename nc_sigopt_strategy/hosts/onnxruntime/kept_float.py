"""Rewrites of a quantized model that let what was left in float run in float; as data, too.

The quantizer puts every reader of a quantized tensor behind it, those in float as well. Where the
tensor is made in float, they can read it itself: nothing is rounded and nothing converted for
them. What is left is what ``backends.onnx_kept_fp32`` is about.
"""

from __future__ import annotations

from typing import Any

import onnx

from nc_sigopt_strategy.backends.onnx_kept_fp32 import MARK, keep_fp32
from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.int8_forms import join_float_hard_sigmoids
from nc_sigopt_strategy.hosts.onnxruntime.plan import Plan

# What the quantizer calls a tensor that went through int8.
_THROUGH_INT8 = "_DequantizeLinear_Output"


def keep_float(model: Any, view: GraphView, plan: Plan) -> None:
    """Rewrite a quantized model in place.

    Args:
        model: As the quantizer made it.
        view: Of the prepared model.
        plan: What the quantizer was told.
    """
    _read_float_directly(model, view, plan)
    join_float_hard_sigmoids(model, plan.nodes)
    keep_fp32(model)


def _read_float_directly(model: Any, view: GraphView, plan: Plan) -> None:
    direct = {
        f"{tensor}{_THROUGH_INT8}": tensor
        for tensor in plan.methods
        if tensor not in plan.int8 and tensor not in view.outputs
    }
    if not direct:
        return
    for node in model.graph.node:
        if node.name not in view.nodes or node.name in plan.nodes:
            continue
        for position, tensor in enumerate(node.input):
            if tensor in direct:
                node.input[position] = direct[tensor]


def edits_between(before: Any, after: Any) -> dict[str, Any]:
    """What turns one model into the other, JSON-safe; a script applies it in a few lines.

    Returns:
        ``inputs``: node to the tensors that it reads, where others; ``nodes``: new ones, each with
        the name of the node that it stands ``before``; ``removed_nodes``; ``constants``: name of
        each new one to its shape and the one ``of`` whose values it repeats, zeros without;
        ``removed_constants``; ``domains``: new ones with their versions. Nothing for two models
        that are the same.
    """
    old = {node.name: node for node in before.graph.node}
    new = {node.name: node for node in after.graph.node}
    constants = {tensor.name: tensor for tensor in before.graph.initializer}
    kept = {tensor.name for tensor in after.graph.initializer}
    found = {
        "inputs": {
            name: list(node.input)
            for name, node in new.items()
            if name in old and list(old[name].input) != list(node.input)
        },
        "nodes": _new_nodes(after, old),
        "removed_nodes": [name for name in old if name not in new],
        "constants": {
            tensor.name: _repeats(tensor, constants)
            for tensor in after.graph.initializer
            if tensor.name not in constants
        },
        "removed_constants": [name for name in constants if name not in kept],
        "domains": {
            opset.domain: opset.version
            for opset in after.opset_import
            if opset.domain not in {known.domain for known in before.opset_import}
        },
    }
    return {name: edit for name, edit in found.items() if edit}


def _new_nodes(after: Any, old: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for node in after.graph.node:
        if node.name in old:
            for entry in waiting:
                entry["before"] = node.name
            waiting = []
            continue
        entry = {
            "op_type": node.op_type,
            "inputs": list(node.input),
            "outputs": list(node.output),
            "name": node.name,
            "domain": node.domain if node.HasField("domain") else None,
            "attributes": {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
        }
        waiting.append(entry)
        found.append(entry)
    return found


def _repeats(tensor: Any, constants: dict[str, Any]) -> dict[str, Any]:
    stem = tensor.name.rpartition(MARK)[0]
    return {"shape": list(tensor.dims), "of": stem if stem in constants else None}
