"""Walks over a ``ModelProto`` that leave nothing out: subgraphs, local functions, attributes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import onnx


def graphs_of(model: Any) -> Iterator[Any]:
    """Every graph of the model, the outermost first, then those inside If, Loop and Scan."""
    yield model.graph
    for node in nodes_of(model):
        yield from _own_graphs(node)


def nodes_of(model: Any) -> Iterator[Any]:
    """Every node: of the graph, of its subgraphs and of the model's local functions."""
    functions = [node for function in model.functions for node in function.node]
    yield from nodes_below([*model.graph.node, *functions])


def nodes_below(nodes: Iterable[Any]) -> Iterator[Any]:
    """These nodes and those of the graphs inside them."""
    # Not by recursion: exported loops nest deeper than one expects.
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _own_graphs(node):
            waiting.extend(graph.node)


def read_in_subgraphs(model: Any) -> set[str]:
    """Tensors that are read inside of If, Loop and Scan, wherever they come from."""
    return {
        name
        for graph in itertools.islice(graphs_of(model), 1, None)
        for name in (
            *(name for node in graph.node for name in node.input),
            *(made.name for made in graph.output),
        )
    }


def tensors_of(model: Any) -> Iterator[Any]:
    """Every constant: initializers of all graphs and tensors in attributes."""
    for graph in graphs_of(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield sparse.values
            yield sparse.indices
    for node in nodes_of(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def opsets_of(model: Any) -> dict[str, int]:
    """Operator domain to version; the default domain is "" however it was written."""
    return {
        "" if opset.domain == "ai.onnx" else opset.domain: opset.version
        for opset in model.opset_import
    }


def attribute_of(node: Any, name: str, default: Any) -> Any:
    """The value of a node's attribute, or the default that ONNX gives it."""
    for known in node.attribute:
        if known.name == name:
            return onnx.helper.get_attribute_value(known)
    return default


def real_inputs(model: Any) -> list[Any]:
    """The inputs that have to be fed: IR 3 lists constants there too, later ones have defaults."""
    constant = {tensor.name for tensor in model.graph.initializer}
    return [given for given in model.graph.input if given.name not in constant]


def type_name(elem_type: int) -> str:
    """An element type as ONNX writes it: ``float16``."""
    names = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return str(names.get(elem_type, elem_type)).lower()


def _own_graphs(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
