"""How OpenVINO runs the ops of a model: read from the graph that the CPU device executes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# Types of the device's nodes to the words that choices have.
_WORDS = {"i8": "int8", "u8": "int8", "bf16": "bf16", "f16": "fp16", "f32": "fp32"}
_MOVED = ("Const", "Input", "Output", "Reorder")


def ran_as(runtime: Any, ops: Iterable[str]) -> dict[str, str]:
    """Op name to ``int8``, ``bf16``, ``fp16``, ``fp32`` or OpenVINO's own word for the type.

    Args:
        runtime: ``CompiledModel.get_runtime_model()``.
        ops: Friendly names in the model that was compiled. Ops that the device runs no node for,
            or whose names it lost, are left out.
    """
    found: dict[str, str] = {}
    for node in runtime.get_ordered_ops():
        noted = node.get_rt_info()
        if "runtimePrecision" not in noted or _text(noted, "layerType") in _MOVED:
            continue
        how = _text(noted, "runtimePrecision")
        names = _text(noted, "originalLayersNames") or node.get_friendly_name()
        for name in (names, *names.split(",")):
            found.setdefault(name, _WORDS.get(how, how))
    return {op: found[op] for op in ops if op in found}


def _text(noted: Any, key: str) -> str:
    return str(noted[key].astype(str)) if key in noted else ""
