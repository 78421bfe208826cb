"""Declared shapes of inputs said where TensorFlow's optimizer believes them."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.backends.finishing.editable_graph import EditableGraph, attribute

_ADDS = frozenset({"Add", "AddV2"})


def state_input_shapes(graph: EditableGraph) -> int:
    """Put an ``EnsureShape`` of its declared shape, batch aside, behind each input.

    Values are equal.

    TensorFlow's optimizer takes the shape of whatever is fed as unknown, although a session checks
    it against the declared one. From there on no shape is known, and it fuses a residual sum with
    its convolution only where it knows that both terms have the same: ResNet50 keeps its sums and
    activations as ops of their own (seen in 2.18).

    Only in graphs that add two tensors; others gain nothing.

    Args:
        graph: Changed in place. Names and types of its inputs and outputs stay.

    Returns:
        How many inputs it concerned.
    """
    if not any(_adds_tensors(graph, node) for node in graph.nodes.values()):
        return 0
    readers = graph.readers()
    stated: dict[str, str] = {}
    for node in list(graph.nodes.values()):
        reading = readers.get(node.name, [])
        if node.op == "Placeholder" and reading and _says_something(node):
            if any(graph.nodes[name].op == "EnsureShape" for name in reading):
                continue
            stated[node.name] = graph.free_name(f"{node.name}/shape")
    graph.redirect(stated)
    for name, wished in stated.items():
        given = graph.nodes[name]
        added = graph.nodes[graph.add("EnsureShape", wished, [name], T=given.attr["dtype"].type)]
        added.attr["shape"].shape.CopyFrom(given.attr["shape"].shape)
        # Batches of another size were taken wherever nobody checks the declared one.
        added.attr["shape"].shape.dim[0].size = -1
    return len(stated)


def _adds_tensors(graph: EditableGraph, node: Any) -> bool:
    return node.op in _ADDS and all(
        graph.producer(tensor).op != "Const" for tensor in node.input[:2]
    )


def _says_something(placeholder: Any) -> bool:
    # Graphs from before TensorFlow 1.0 wrote an unknown shape as that of a scalar.
    return any(dim.size >= 0 for dim in attribute(placeholder, "shape").shape.dim[1:])
