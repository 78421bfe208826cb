"""Weights that a module computes of its parameters, computed once.

``weight_norm``, ``spectral_norm`` and other parametrizations put ops between a parameter and the
layer that multiplies by it. PT2E looks for constants there, and deployed they are constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_model import attribute

aten = torch.ops.aten

# Position of what an op multiplies by, adds or normalizes with.
_WEIGHTS = {
    aten.conv1d.default: (1, 2),
    aten.conv2d.default: (1, 2),
    aten.conv3d.default: (1, 2),
    aten.conv_transpose1d.default: (1, 2),
    aten.conv_transpose2d.input: (1, 2),
    aten.conv_transpose3d.input: (1, 2),
    aten.linear.default: (1, 2),
    aten.batch_norm.default: (1, 2, 3, 4),
    aten._native_batch_norm_legit_no_training.default: (1, 2, 3, 4),
}


def hold_computed_weights(module: torch.fx.GraphModule) -> int:
    """Put a constant in the place of every weight that no input of the graph goes into.

    Args:
        module: As ``torch.export`` made it; changed in place.

    Returns:
        How many weights are constants now.
    """
    constant = constant_nodes(module)
    held: dict[Any, Any] = {}
    for user, weight in list(_weights(module)):
        if weight.op == "get_attr" or weight not in constant:
            continue
        if weight not in held:
            held[weight] = _constant(module, weight, len(held))
        user.replace_input_with(weight, held[weight])
    module.graph.eliminate_dead_code()
    module.recompile()
    return len(held)


def _weights(module: torch.fx.GraphModule) -> Iterator[tuple[Any, Any]]:
    for node in module.graph.nodes:
        positions = _WEIGHTS.get(node.target, ()) if node.op == "call_function" else ()
        for position in positions:
            weight = node.args[position] if position < len(node.args) else None
            if isinstance(weight, torch.fx.Node):
                yield node, weight


def constant_nodes(module: torch.fx.GraphModule) -> set[Any]:
    """The nodes that give the same whatever the graph is fed with."""
    found: set[Any] = set()
    for node in module.graph.nodes:
        if node.op == "get_attr":
            found.add(node)
        elif node.op == "call_function" and not _is_random(node):
            sources = node.all_input_nodes
            if sources and all(source in found for source in sources):
                found.add(node)
    return found


def _is_random(node: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _constant(module: torch.fx.GraphModule, weight: Any, number: int) -> Any:
    with torch.no_grad():
        value = _value(module, weight, {})
    name = f"computed_weight_{number}"
    while hasattr(module, name):
        name += "_"
    # Batch norms are folded into parameters only.
    setattr(module, name, torch.nn.Parameter(value.detach().clone(), requires_grad=False))
    with module.graph.inserting_before(weight):
        made = module.graph.get_attr(name)
    made.meta["val"] = weight.meta.get("val")
    return made


def _value(module: torch.fx.GraphModule, node: Any, known: dict[Any, Any]) -> Any:
    """What a constant node gives; ``known`` keeps what was computed on the way."""
    waiting = [node]
    while waiting:
        current = waiting[-1]
        missing = [source for source in current.all_input_nodes if source not in known]
        if current.op != "get_attr" and missing:
            waiting += missing
            continue
        waiting.pop()
        if current.op == "get_attr":
            known[current] = attribute(module, str(current.target))
            continue
        args = torch.fx.node.map_arg(current.args, known.__getitem__)
        named = torch.fx.node.map_arg(dict(current.kwargs), known.__getitem__)
        known[current] = current.target(*args, **named)
    return known[node]
