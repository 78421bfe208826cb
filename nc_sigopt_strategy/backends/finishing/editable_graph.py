"""A TensorFlow graph as rewrites edit it: nodes by name, who reads what, new nodes, moved reads.

A *tensor* is written as a ``GraphDef`` writes it: ``name`` for a node's first output, ``name:1``
for its second, ``^name`` for a control input, which carries no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from nc_sigopt_strategy.backends.tensorflow_reads import node_of

FLOAT32 = tf.float32.as_datatype_enum
BFLOAT16 = tf.bfloat16.as_datatype_enum


class EditableGraph:
    """A copy of a graph that can be changed.

    Args:
        graph_def: A ``GraphDef``; it stays as it is.
        outputs: Names of nodes that somebody fetches, besides those that no node reads.

    Attributes:
        nodes: Name to ``NodeDef``, in the graph's order.
        outputs: Names of all nodes whose name, type and value must stay.
    """

    def __init__(self, graph_def: Any, outputs: Iterable[str] = ()) -> None:
        self._around = tf.compat.v1.GraphDef()
        self._around.CopyFrom(graph_def)
        self.nodes: dict[str, Any] = {node.name: node for node in self._around.node}
        read = {node_of(tensor) for node in graph_def.node for tensor in node.input}
        self.outputs = frozenset(map(node_of, outputs)) | (self.nodes.keys() - read)

    def graph_def(self) -> Any:
        """A new ``GraphDef`` of the nodes as they are now; functions and versions as given."""
        made = tf.compat.v1.GraphDef()
        made.node.extend(self.nodes.values())
        for part in ("library", "versions"):
            if self._around.HasField(part):
                getattr(made, part).CopyFrom(getattr(self._around, part))
        return made

    def readers(self) -> dict[str, list[str]]:
        """Tensor to the names of the nodes that read it, as it stands at this moment."""
        found: dict[str, list[str]] = {}
        for node in self.nodes.values():
            for tensor in dict.fromkeys(node.input):
                found.setdefault(_tensor(tensor), []).append(node.name)
        return found

    def producer(self, tensor: str) -> Any:
        """The node that writes a tensor."""
        return self.nodes[node_of(tensor)]

    def add(self, op: str, wished_name: str, inputs: Iterable[str], **types: int) -> str:
        """Add a node.

        Args:
            op: Its type.
            wished_name: Its name, unless that is taken.
            inputs: What it reads.
            types: Its attributes that are data types.

        Returns:
            The name that it got.
        """
        node = self._new(wished_name)
        node.op = op
        node.input.extend(inputs)
        for key, value in types.items():
            node.attr[key].type = value
        return str(node.name)

    def add_copy(self, of: str, wished_name: str) -> Any:
        """Add a node that is like another one but for its name; the new node."""
        node = self._new(wished_name)
        name = node.name
        node.CopyFrom(self.nodes[of])
        node.name = name
        return node

    def redirect(self, moved: Mapping[str, str]) -> None:
        """Let whoever reads a tensor read another one; control inputs stay."""
        for node in self.nodes.values():
            for position, tensor in enumerate(node.input):
                if _tensor(tensor) in moved:
                    node.input[position] = moved[_tensor(tensor)]

    def remove_unread(self, names: Iterable[str]) -> None:
        """Remove those of some nodes that nobody reads any more, outputs excepted.

        Args:
            names: The nodes, each after those that read it.
        """
        reads: dict[str, int] = {}
        for node in self.nodes.values():
            for tensor in node.input:
                reads[node_of(tensor)] = reads.get(node_of(tensor), 0) + 1
        for name in dict.fromkeys(names):
            if name in self.nodes and not reads.get(name) and name not in self.outputs:
                for tensor in self.nodes.pop(name).input:
                    reads[node_of(tensor)] -= 1

    def free_name(self, wished: str) -> str:
        """A name that no node has: the wished one, if it is free."""
        name, count = wished, 0
        while name in self.nodes:
            count += 1
            name = f"{wished}_{count}"
        return name

    def _new(self, wished_name: str) -> Any:
        name = self.free_name(wished_name)
        node = tf.compat.v1.NodeDef(name=name)
        self.nodes[name] = node
        return node


def attribute(node: Any, key: str) -> Any:
    """An attribute as it stands; an empty one if there is none, where to ask would add it."""
    return node.attr[key] if key in node.attr else tf.compat.v1.AttrValue()


def typed_inputs(node: Any, named: str = "T") -> list[int]:
    """Positions of the inputs whose type is that of an attribute; control inputs are none."""
    positions: list[int] = []
    position = 0
    for argument in op_def_registry.get(node.op).input_arg:
        count = attribute(node, argument.number_attr).i if argument.number_attr else 1
        if argument.type_attr == named:
            positions.extend(range(position, position + count))
        position += count
    return positions


def is_cast(node: Any, source: int, target: int) -> bool:
    """Whether a node converts one type into another and waits for nothing but its input."""
    return (
        node.op == "Cast"
        and len(node.input) == 1
        and attribute(node, "SrcT").type == source
        and attribute(node, "DstT").type == target
    )


def _tensor(written: str) -> str:
    return written.removesuffix(":0")
