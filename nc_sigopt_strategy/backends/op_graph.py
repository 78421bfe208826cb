"""A model's quantizable ops, how large they are and which of them read each other's outputs.

Each framework describes its nodes as ``GraphNode``; what is left of them here is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

# Dimensions of a tensor; ``None`` for an unknown one, and for a tensor of unknown rank.
Shape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class GraphNode:
    """One node of a model's graph.

    Attributes:
        name: Of the node.
        op_type: Normalised, lower-case class, for instance ``depthwise_conv2d``.
        inputs: Tensors that it reads.
        outputs: Tensors that it writes, the main one first.
        terms: Products or sums behind one element of its main output; ``None`` if unknown.
        weight_elements: Of its constant weights, 0 without any; ``None`` if unknown.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    terms: float | None = 0.0
    weight_elements: float | None = 0.0


def elements(shape: Shape) -> float | None:
    """Elements of a tensor for one input: an unknown first dimension is the batch and counts 1.

    Returns:
        ``None`` where another dimension is unknown.
    """
    if shape is None:
        return None
    sizes = [1 if position == 0 and size is None else size for position, size in enumerate(shape)]
    known = [size for size in sizes if size is not None]
    return float(math.prod(known)) if len(known) == len(sizes) else None


def product(values: Iterable[float | None]) -> float | None:
    """The product; ``None`` if a factor is unknown."""
    factors = list(values)
    known = [factor for factor in factors if factor is not None]
    return float(math.prod(known)) if len(known) == len(factors) else None


def reduce_to_ops(
    nodes: Sequence[GraphNode], shapes: Mapping[str, Shape], ops: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """What is left of a graph when only its quantizable ops are kept.

    Args:
        nodes: All nodes.
        shapes: Tensor to its shape, as far as known.
        ops: Quantizable ops as (node name, INC's op type), in graph order.

    Returns:
        JSON-safe: ``{"ops": [{"name", "op_type", "multiply_adds", "output_elements",
        "weight_elements"}, ...], "edges": [[producer, consumer, elements], ...]}``. An edge joins
        two ops where the consumer reads the producer's output, directly or through nodes that are
        not quantizable. Sizes are for one input; ``None`` where unknown.
    """
    by_name = {node.name: node for node in nodes}
    writer = {tensor: node for node in nodes for tensor in node.outputs}
    quantizable = {name for name, _ in ops}
    edges: list[list[Any]] = []
    for name, _ in ops:
        node = by_name.get(name)
        for tensor in [] if node is None else _op_outputs_read(node, writer, quantizable):
            edges.append([writer[tensor].name, name, elements(shapes.get(tensor))])
    return {
        "ops": [asdict(_facts(name, kind, by_name.get(name), shapes)) for name, kind in ops],
        "edges": edges,
    }


def as_groups(op_graph: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, Any]:
    """The op graph of ops that each stand for several.

    Args:
        op_graph: Of all of them, as ``reduce_to_ops`` gives it.
        groups: Op name to the name of the op that stands for it.

    Returns:
        As ``reduce_to_ops``: sizes are those of the op that stands for the others, edges lead
        between groups and none twice.
    """
    edges: dict[tuple[str, str], float | None] = {}
    for producer, consumer, size in op_graph["edges"]:
        pair = groups[producer], groups[consumer]
        if pair[0] != pair[1]:
            edges.setdefault(pair, size)
    return {
        "ops": [op for op in op_graph["ops"] if groups[op["name"]] == op["name"]],
        "edges": [[*pair, size] for pair, size in edges.items()],
    }


@dataclass(frozen=True)
class _OpFacts:
    name: str
    op_type: str
    multiply_adds: float | None
    output_elements: float | None
    weight_elements: float | None


def _facts(
    name: str, inc_type: str, node: GraphNode | None, shapes: Mapping[str, Shape]
) -> _OpFacts:
    if node is None:
        return _OpFacts(name, inc_type.lower(), None, None, None)
    written = elements(shapes.get(node.outputs[0])) if node.outputs else None
    # A node that multiplies nothing does so whatever its size.
    work = 0.0 if node.terms == 0 else product([written, node.terms])
    return _OpFacts(name, node.op_type, work, written, node.weight_elements)


def _op_outputs_read(
    consumer: GraphNode, writer: Mapping[str, GraphNode], quantizable: set[str]
) -> list[str]:
    """Tensors of quantizable ops that reach a node without passing another quantizable op."""
    found: dict[str, None] = {}
    seen = set(consumer.inputs)
    waiting = list(consumer.inputs)
    while waiting:
        tensor = waiting.pop(0)
        node = writer.get(tensor)
        if node is None:
            continue
        if node.name in quantizable:
            found[tensor] = None
            continue
        new = [source for source in node.inputs if source not in seen]
        seen.update(new)
        waiting.extend(new)
    return list(found)
