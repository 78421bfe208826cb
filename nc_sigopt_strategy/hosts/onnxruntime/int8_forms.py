"""Ops written in another way, with int8 kernels; and back where they are left in float.

Only behind convolutions: elsewhere the optimizer knows patterns with such ops in them, as the
GELU, and products of matrices give a float result anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nc_sigopt_strategy.backends.onnx_protos import attribute_of, opsets_of

_ELEMENTWISE = (
    "Add", "Sub", "Mul", "Div", "Clip", "Relu", "HardSigmoid", "Sigmoid", "BatchNormalization",
)  # fmt: skip
_HARD_SIGMOID = "HardSigmoid"
# ONNX's own defaults of its attributes.
_ALPHA, _BETA = 0.2, 0.5
# In the names of what a hard sigmoid is written out as.
_MARK = "/hard_sigmoid/"
_PRODUCT = f"{_MARK}product"
# Clip has its limits as inputs since then.
_CLIP_OPSET = 11


def divisions_as_products(model: Any) -> list[int]:
    """Multiply where activations are divided by a constant, in place.

    Exporters write the hard swish so.

    Returns:
        Positions of the nodes that were changed.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    changed: list[int] = []
    for position, node in _behind_convolutions(graph):
        if node.op_type != "Div":
            continue
        divisor = constants.get(node.input[1])
        if divisor is None or divisor.data_type != onnx.TensorProto.FLOAT:
            continue
        factor = reciprocal(numpy_helper.to_array(divisor))
        if not np.isfinite(factor).all():
            continue
        node.op_type = "Mul"
        node.input[1] = f"{node.input[1]}_reciprocal_{position}"
        graph.initializer.append(numpy_helper.from_array(factor, node.input[1]))
        changed.append(position)
    return changed


def reciprocal(values: Any) -> Any:
    """What multiplies as ``values`` divide; infinite for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.float32(1) / values, np.float32)


def hard_sigmoids_as_sums(model: Any) -> list[str]:
    """Write each hard sigmoid, also those of hard swishes, as Add, Clip and Mul, in place.

    Nodes must have names of their own. In int8 the Clip vanishes in the limits of the sum.

    Returns:
        Names of the nodes that were replaced.
    """
    graph = model.graph
    if opsets_of(model).get("", 1) < _CLIP_OPSET:
        return []
    changed = [
        node.name
        for _, node in _behind_convolutions(graph)
        if node.op_type == _HARD_SIGMOID and _slope(node) > 0
    ]
    if not changed:
        return []
    nodes: list[Any] = []
    for node in graph.node:
        if node.name in changed:
            made, constants = _spelled_out(node)
            nodes += made
            graph.initializer.extend(constants)
        else:
            nodes.append(node)
    _replace_nodes(graph, nodes)
    return changed


def join_float_hard_sigmoids(model: Any, quantized: Collection[str]) -> None:
    """Undo ``hard_sigmoids_as_sums`` in place where no part was quantized: as one op it is faster.

    Args:
        model: What the quantizer made.
        quantized: Names of the nodes that were quantized.
    """
    graph = model.graph
    known = {node.name: node for node in graph.node}
    written_out = [_Parts(name.removesuffix(_PRODUCT)) for name in known if _PRODUCT in name]
    joined = [parts for parts in written_out if not set(quantized).intersection(parts.nodes)]
    if not joined:
        return
    values = {tensor.name: tensor for tensor in graph.initializer}
    replaced = {part: parts for parts in joined for part in parts.nodes}
    nodes: list[Any] = []
    for node in graph.node:
        parts = replaced.get(node.name)
        if parts is None:
            nodes.append(node)
        elif node.name == parts.product:
            alpha, shift = (
                float(numpy_helper.to_array(values[name])) for name in (parts.factor, parts.shift)
            )
            nodes.append(
                helper.make_node(
                    _HARD_SIGMOID,
                    [known[parts.sum].input[0]],
                    list(node.output),
                    name=f"{parts.name}/float",
                    alpha=alpha,
                    beta=alpha * shift,
                )
            )
    _replace_nodes(graph, nodes)
    idle = {name for parts in joined for name in parts.constants}
    for tensor in [tensor for tensor in graph.initializer if tensor.name in idle]:
        graph.initializer.remove(tensor)


@dataclass(frozen=True)
class _Parts:
    """What a hard sigmoid of a name is written out as: names of nodes and constants."""

    name: str

    @property
    def sum(self) -> str:
        return f"{self.name}{_MARK}sum"

    @property
    def clip(self) -> str:
        return f"{self.name}{_MARK}clip"

    @property
    def product(self) -> str:
        return f"{self.name}{_PRODUCT}"

    @property
    def nodes(self) -> tuple[str, str, str]:
        return self.sum, self.clip, self.product

    @property
    def shift(self) -> str:
        return f"{self.name}{_MARK}shift"

    @property
    def factor(self) -> str:
        return f"{self.name}{_MARK}factor"

    @property
    def constants(self) -> tuple[str, str, str, str]:
        limits = f"{self.name}{_MARK}lowest", f"{self.name}{_MARK}highest"
        return self.shift, *limits, self.factor


def _spelled_out(node: Any) -> tuple[list[Any], list[Any]]:
    """The three nodes of a hard sigmoid, and their constants."""
    parts, alpha = _Parts(node.name), np.float32(_slope(node))
    beta = np.float32(attribute_of(node, "beta", _BETA))
    shift, lowest, highest, factor = parts.constants
    made = [
        helper.make_node("Add", [node.input[0], shift], [f"{parts.sum}_out"], parts.sum),
        helper.make_node(
            "Clip", [f"{parts.sum}_out", lowest, highest], [f"{parts.clip}_out"], parts.clip
        ),
        helper.make_node("Mul", [f"{parts.clip}_out", factor], list(node.output), parts.product),
    ]
    values = (beta / alpha, np.float32(0), np.float32(1) / alpha, alpha)
    return made, [
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in zip(parts.constants, values, strict=True)
    ]


def _slope(node: Any) -> float:
    return float(attribute_of(node, "alpha", _ALPHA))


def _behind_convolutions(graph: Any) -> Iterator[tuple[int, Any]]:
    """Positions and nodes whose first input is a convolution's, with elementwise ops between."""
    convolved: set[str] = set()
    for position, node in enumerate(graph.node):
        if node.input and node.input[0] in convolved:
            yield position, node
        passes_on = node.op_type in _ELEMENTWISE and any(name in convolved for name in node.input)
        if passes_on or node.op_type == "Conv":
            convolved.update(node.output)


def _replace_nodes(graph: Any, nodes: list[Any]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
