"""How OpenVINO runs the ops of a model: read from the graph that the CPU device executes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Types of the device's nodes to the words that choices have.
_WORDS = {"i8": "int8", "u8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}
# How many nodes on the name of a fused op may be found.
_STEPS = 3
_MOVED = ("Const", "Input", "Output", "Reorder")


def ran_as(runtime: Any, model: Any, ops: Iterable[str]) -> dict[str, str]:
    """Op name to ``int8``, ``bf16``, ``fp16``, ``fp32`` or OpenVINO's own word for the type.

    Args:
        runtime: ``CompiledModel.get_runtime_model()``.
        model: What was compiled.
        ops: Friendly names in it. Ops that the device runs no node for are left out.
    """
    found: dict[str, str] = {}
    for node in runtime.get_ordered_ops():
        how = noted(node, "runtimePrecision")
        if not how or noted(node, "layerType") in _MOVED:
            continue
        for name in (node.get_friendly_name(), *made_from(node)):
            found.setdefault(name, _WORDS.get(how, how))
    nodes = {node.get_friendly_name(): node for node in model.get_ops()}
    named = {op: _nearest(nodes.get(op), found) for op in ops}
    return {op: how for op, how in named.items() if how is not None}


def _nearest(node: Any, found: Mapping[str, str]) -> str | None:
    """How a node runs, or the one that it became part of: MatMul loses its name to its bias."""
    for _ in range(_STEPS):
        if node is None:
            return None
        if node.get_friendly_name() in found:
            return found[node.get_friendly_name()]
        readers = [p.get_node() for out in node.outputs() for p in out.get_target_inputs()]
        node = readers[0] if len(readers) == 1 else None
    return None


def made_from(node: Any) -> list[str]:
    """Names of the model's nodes that a node of the device's graph was made from."""
    return [name for name in noted(node, "originalLayersNames").split(",") if name]


def noted(node: Any, key: str) -> str:
    """What a node of the device's graph has noted under a key; empty where it has not."""
    info = node.get_rt_info()
    return str(info[key].astype(str)) if key in info else ""
