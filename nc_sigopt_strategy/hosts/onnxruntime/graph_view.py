"""An ONNX graph as the grouping of its nodes needs it: who writes, who reads, what is constant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import onnx

from nc_sigopt_strategy.backends.onnx_protos import attribute_of, opsets_of, read_in_subgraphs


class GraphView:
    """The outermost graph of a model; nodes are known by their names, which are their own.

    Args:
        model: A ``ModelProto`` as ``prepared`` leaves it.
        floats: Its tensors of type float32, constants left out.

    Attributes:
        model: The model.
        floats: As given.
        nodes: Name to node, in topological order.
        position: Name to place in that order.
        writer: Tensor to the name of the node that makes it.
        readers: Tensor to the names of the nodes that read it, each once, in order.
        constants: Name to initializer.
        outputs: Tensors that are outputs of the model.
        below: Tensors that are read inside of If, Loop and Scan.
        opset: Of the standard ops.
    """

    def __init__(self, model: Any, floats: Collection[str]) -> None:
        self.model = model
        self.floats = frozenset(floats)
        self.nodes: Mapping[str, Any] = {node.name: node for node in model.graph.node}
        self.position = {name: position for position, name in enumerate(self.nodes)}
        self.writer = {
            tensor: node.name for node in model.graph.node for tensor in node.output if tensor
        }
        self.readers: dict[str, list[str]] = {}
        for node in model.graph.node:
            for tensor in dict.fromkeys(filter(None, node.input)):
                self.readers.setdefault(tensor, []).append(node.name)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.outputs = frozenset(made.name for made in model.graph.output)
        self.below = read_in_subgraphs(model)
        self.opset = opsets_of(model).get("", 1)

    def float_constant(self, tensor: str) -> Any | None:
        """The float32 initializer of a name."""
        found = self.constants.get(tensor)
        if found is None or found.data_type != onnx.TensorProto.FLOAT:
            return None
        return found

    def inputs(self, name: str) -> list[str]:
        """The float tensors that a node reads and that are computed or fed."""
        return [tensor for tensor in self.nodes[name].input if tensor in self.floats]

    def attribute(self, name: str, attribute: str, default: Any) -> Any:
        """An attribute of a node."""
        return attribute_of(self.nodes[name], attribute, default)

    def read_only_by(self, tensor: str, name: str) -> bool:
        """Whether nobody else reads a tensor."""
        return (
            self.readers.get(tensor) == [name]
            and tensor not in self.outputs
            and tensor not in self.below
        )
