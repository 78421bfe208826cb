"""Which ops of a graph PT2E quantizes, and what they are called.

One choice each for what multiplies: a convolution, a linear layer, a product of two activations.
What fuses with it or only moves its values (batch norm, activation, residual add, pooling,
concatenation) goes the way that PT2E's recipe gives it beside a float or an int8 neighbour.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_graph import WEIGHTED, kind_of_node
from nc_sigopt_strategy.hosts.torch.quantizer import is_observer
from nc_sigopt_strategy.space.ops import OpKey

_MULTIPLYING = (*WEIGHTED, torch.ops.aten.mul.Tensor)


def quantizable_nodes(observed: torch.fx.GraphModule) -> list[Any]:
    """The nodes that multiply and read what observers look at, in graph order."""
    return [
        node
        for node in observed.graph.nodes
        if node.op == "call_function"
        and node.target in _MULTIPLYING
        and any(is_observer(source) for source in node.all_input_nodes)
    ]


def keys_of(nodes: list[Any]) -> dict[OpKey, str]:
    """Key of an op to its node's name: ``("features.3.conv", "conv2d")`` to ``"conv2d_7"``.

    An op is called as the module that it is, or as the module that it is in and its node.
    """
    owners = {node: _owner(node) for node in nodes}
    counts = Counter(owners.values())
    found: dict[OpKey, str] = {}
    for node, owner in owners.items():
        name = owner
        if not owner or counts[owner] > 1 or node.target not in WEIGHTED:
            name = f"{owner}.{node.name}" if owner else str(node.name)
        found[name, kind_of_node(node)] = node.name
    return found


def _owner(node: Any) -> str:
    """Dotted name of the innermost module that a node comes from; empty for the outermost."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else ""
