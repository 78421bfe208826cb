"""Layers in other words, as the ops that PT2E quantizes.

``x @ self.weight``, and the ``addmm`` of models that keep their weights as (inputs, outputs), are
linear layers; a convolution with ``padding="same"`` is one whose padding is a number.
"""

from __future__ import annotations

from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_graph import shape_of
from nc_sigopt_strategy.hosts.torch.computed_weights import constant_nodes

aten = torch.ops.aten

_WORDS = {aten.conv1d.padding: aten.conv1d.default, aten.conv2d.padding: aten.conv2d.default}
_PRODUCTS = (aten.matmul.default, aten.mm.default)


def spell_layers(module: torch.fx.GraphModule) -> int:
    """Put linear layers and plain convolutions in their place, in place.

    Weights of linear layers are transposed by an op; ``hold_computed_weights`` makes constants of
    them.

    Returns:
        How many layers there are more.
    """
    constant = constant_nodes(module)
    count = 0
    for node in list(module.graph.nodes):
        if node.op != "call_function":
            continue
        if node.target in _WORDS:
            count += _with_numbers(node)
        elif node.target in _PRODUCTS and len(node.args) == 2:
            rows, weight = node.args
            count += _as_linear(module, node, rows, weight, None, constant)
        elif node.target is aten.addmm.default and len(node.args) == 3 and not node.kwargs:
            bias, rows, weight = node.args
            count += _as_linear(module, node, rows, weight, bias, constant)
    module.recompile()
    return count


def _with_numbers(conv: Any) -> bool:
    """A convolution's padding in numbers; ``False`` where it is not as wide on both sides."""
    given = [*conv.args, *(None, (1,), "valid", (1,), 1)[len(conv.args) - 2 :]]
    weight, padding, dilation = given[1], given[4], given[5]
    kernel = (shape_of(weight) or ())[2:]
    if conv.kwargs or not kernel or padding not in ("same", "valid"):
        return False
    widths = [0] * len(kernel)
    if padding == "same":
        steps = list(dilation) * (len(kernel) if len(dilation) == 1 else 1)
        widths = [step * ((size or 1) - 1) for step, size in zip(steps, kernel, strict=True)]
        if None in kernel or any(width % 2 for width in widths):
            return False
    given[4] = [width // 2 for width in widths]
    conv.target, conv.args = _WORDS[conv.target], tuple(given)
    return True


def _as_linear(
    module: Any, node: Any, rows: Any, weight: Any, bias: Any, constant: set[Any]
) -> bool:
    fits = weight in constant and rows not in constant and len(shape_of(weight) or ()) == 2
    if not fits or len(shape_of(rows) or ()) < 2:
        return False
    if bias is not None and (bias not in constant or len(shape_of(bias) or ()) != 1):
        return False
    with module.graph.inserting_before(node):
        turned = module.graph.call_function(aten.t.default, (weight,))
    turned.meta["val"] = weight.meta["val"].t()
    constant.add(turned)
    node.target = aten.linear.default
    node.args = (rows, turned) if bias is None else (rows, turned, bias)
    return True
