"""The op graph of a model, folded into the parameters of a search space.

What a sampler may know of an experiment's parameters besides their values: how much work each of
them decides about, and between which of them a change of data type costs a conversion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SIZES = ("multiply_adds", "output_elements", "weight_elements")


def parameter_graph(
    op_graph: Mapping[str, Any], parameters: Mapping[str, Sequence[tuple[str, str]]]
) -> dict[str, Any]:
    """Sizes of parameters and the edges between them.

    Args:
        op_graph: Of the ops, as ``Backend.op_graph`` gives it.
        parameters: Parameter name to the ops that it decides, in graph order. Ops that belong to
            none are fixed: they are left out, and no edge leads through them.

    Returns:
        JSON-safe: ``{"parameters": [{"name", "op_type", "multiply_adds", "output_elements",
        "weight_elements"}, ...], "edges": [[producer, consumer, elements], ...]}``. Sizes are sums
        over the parameter's ops, for one input; ``None`` where one of them is unknown. The op type
        is the first op's. A parameter without ops has the type ``None`` and sizes of 0.
    """
    ops = {op["name"]: op for op in op_graph["ops"]}
    owner = {op: name for name, group in parameters.items() for op, _ in group}
    edges: dict[tuple[str, str], list[float | None]] = {}
    for producer, consumer, size in op_graph["edges"]:
        pair = owner.get(producer), owner.get(consumer)
        if pair[0] is not None and pair[1] is not None and pair[0] != pair[1]:
            edges.setdefault((pair[0], pair[1]), []).append(size)
    return {
        "parameters": [
            {
                "name": name,
                "op_type": ops[group[0][0]]["op_type"] if group else None,
                **{size: _sum([ops[op][size] for op, _ in group]) for size in _SIZES},
            }
            for name, group in parameters.items()
        ],
        "edges": [[*pair, _sum(sizes)] for pair, sizes in edges.items()],
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known)) if len(known) == len(values) else None
