"""What each op of a graph is, told in the way in which PT2E's recipes look for patterns.

A recipe looks for modules (a ``Conv2d``, then a ``ReLU``) and takes all ops of one module for one
thing. An activation called as a function is none, and a module that is called twice, as the one
ReLU of a ResNet's block, is an error to it. Here every op is a thing of its own and is what it
computes, whoever called it.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn

from nc_sigopt_strategy.backends.torch_graph import shape_of

aten = torch.ops.aten

_SOURCES: dict[Any, type] = {
    aten.conv1d.default: nn.Conv1d,
    aten.conv2d.default: nn.Conv2d,
    aten.linear.default: nn.Linear,
    aten.relu.default: nn.ReLU,
    aten.relu6.default: nn.ReLU6,
    aten.hardtanh.default: nn.Hardtanh,
    aten.hardswish.default: nn.Hardswish,
    aten.silu.default: nn.SiLU,
    aten.leaky_relu.default: nn.LeakyReLU,
    aten.tanh.default: nn.Tanh,
    aten.gelu.default: nn.GELU,
    aten.max_pool2d.default: nn.MaxPool2d,
    aten.avg_pool2d.default: nn.AvgPool2d,
    aten.adaptive_avg_pool2d.default: nn.AdaptiveAvgPool2d,
}


def tell_sources(graph: torch.fx.Graph) -> None:
    """Write into every op what it is; see ``torch.fx.passes.utils.source_matcher_utils``."""
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        source: Any = _SOURCES.get(node.target, node.target)
        if node.target is aten.add.Tensor and _adds_alike(node):
            source = operator.add
        node.meta["source_fn_stack"] = [(node.name, source)]


def _adds_alike(node: Any) -> bool:
    """Whether an add is one of two tensors of one shape, which convolutions can take in."""
    one, other = node.args[:2]
    both = isinstance(one, torch.fx.Node) and isinstance(other, torch.fx.Node)
    return both and shape_of(one) is not None and shape_of(one) == shape_of(other)
