"""TensorFlow: the int8 model in float, beside the FP32 one, to see by how much its means are off.

A bias that makes up for what the layer's own weight lost leaves out what comes from before: inputs
are rounded, and with noise in its inputs a layer's features are weaker on average, more so from
layer to layer. Pooling averages the noise away and leaves that. So the means are compared layer
after layer, each on inputs from layers that are int8 and corrected already: the empirical bias
correction of Nagel et al. ("A White Paper on Neural Network Quantization", 2021).

All in one run of one graph: it holds the model twice, and in the second one what layers and
poolings read is rounded, weights are those of int8, and each layer's outputs have the FP32 one's
means over the batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import with_port
from nc_sigopt_strategy.hosts.rounding.layer import Layer
from nc_sigopt_strategy.hosts.statistics_store import Array

_PREFIX = "nc_sigopt/int8"
# Quantized beside the layers; what they read is on the grid of int8, too.
_POOLINGS = frozenset({"AvgPool", "MaxPool"})
# They are the same in both models.
_SHARED = frozenset({"Const", "Placeholder", "PlaceholderWithDefault"})
# Axes of what a layer gives; channels are the last.
_RANK = {"Conv2D": 4, "DepthwiseConv2dNative": 4, "MatMul": 2}
# Of 256 numbers, 255 are used where values have both signs.
_LOWEST, _HIGHEST = -128, 127


class EmulatedPass:
    """A graph that gives the difference of means, and what it gave so far.

    Args:
        graph_def: The FP32 model, without loops and branches; it is not changed.
        layers: By weight; those that are int8.
        weights: What int8 weights stand for, float32, by weight, of the shapes of the model's.
        ranges: Smallest and largest value of tensors, by full name; others are not rounded.

    Attributes:
        graph_def: What to run.
        fetches: Names of tensors to fetch for each batch.
    """

    def __init__(
        self,
        graph_def: Any,
        layers: Mapping[str, Layer],
        weights: Mapping[str, Array],
        ranges: Mapping[str, tuple[float, float]],
    ) -> None:
        made = _Twins(graph_def, {layer.node: name for name, layer in layers.items()})
        made.add(weights, ranges)
        self.graph_def = made.graph_def
        self._fetched = made.differences
        self.fetches = list(made.differences.values())
        self._taken: list[list[Array]] = []

    @property
    def batches(self) -> int:
        """How many were taken up."""
        return len(self._taken)

    def take(self, values: Sequence[Array]) -> None:
        """Take up what one batch gave, in the order of ``fetches``."""
        self._taken.append([np.asarray(value, np.float64) for value in values])

    def shifts(self) -> dict[str, Array]:
        """By weight what is missing in the means of its layer's outputs, one per channel.

        A layer of which a batch gave no finite number is left out.
        """
        means = [np.mean(values, axis=0) for values in zip(*self._taken, strict=True)]
        found = dict(zip(self._fetched, means, strict=True))
        return {name: -mean for name, mean in found.items() if np.isfinite(mean).all()}


def rounded_tensors(graph_def: Any, layers: Mapping[str, Layer]) -> set[str]:
    """Full names of what layers and poolings read: an int8 model has these on a grid."""
    wanted = {layer.node for layer in layers.values()}
    return {
        with_port(node.input[0])
        for node in graph_def.node
        if node.name in wanted or node.op in _POOLINGS
    }


class _Twins:
    """A model and its int8 twin in one graph.

    Attributes:
        graph_def: Both.
        differences: By weight the tensor that is mean of the twin's layer less mean of the layer.
    """

    def __init__(self, graph_def: Any, weight_of: Mapping[str, str]) -> None:
        self.graph_def = type(graph_def)()
        self.graph_def.CopyFrom(graph_def)
        self.differences: dict[str, str] = {}
        self._weight_of = weight_of
        self._twins: set[str] = set()
        # What the twin reads in place of a tensor, other than the tensor of its own node.
        self._changed: dict[str, str] = {}

    def add(self, weights: Mapping[str, Array], ranges: Mapping[str, tuple[float, float]]) -> None:
        """Add the twin."""
        nodes = {node.name: node for node in self.graph_def.node}
        order = _after_their_inputs(self.graph_def)
        rounded: dict[str, list[str]] = {}
        for tensor in ranges:
            rounded.setdefault(tensor.rpartition(":")[0], []).append(tensor)
        waits = ""
        for name in order:
            node, weight = nodes[name], self._weight_of.get(name)
            if node.op not in _SHARED:
                self._add_twin(node)
            if weight is not None:
                if waits:
                    # The model would run ahead, with the outputs of all layers in memory.
                    node.input.append(f"^{waits}")
                waits = self._correct(name, weight, weights[weight])
            for tensor in rounded.get(name, ()):
                self._round(tensor, *ranges[tensor])

    def _add_twin(self, node: Any) -> None:
        twin = self.graph_def.node.add()
        twin.CopyFrom(node)
        twin.name = f"{_PREFIX}/{node.name}"
        del twin.input[:]
        twin.input.extend(
            self._twin_of(with_port(read)) for read in node.input if not read.startswith("^")
        )
        self._twins.add(node.name)

    def _twin_of(self, tensor: str) -> str:
        own = f"{_PREFIX}/{tensor}" if tensor.rpartition(":")[0] in self._twins else tensor
        return self._changed.get(tensor, own)

    def _correct(self, layer: str, weight: str, values: Array) -> str:
        """Give the twin's layer its int8 weight and the layer's means; what knows the means."""
        name = f"{_PREFIX}/{layer}"
        twin = self.graph_def.node[-1]
        self._constant(f"{name}/weight", values.astype(np.float32))
        twin.input[1] = f"{name}/weight"
        self._constant(f"{name}/axes", np.arange(_RANK[twin.op] - 1, dtype=np.int32))
        self._node("Sub", f"{name}/errors", [f"{name}:0", f"{layer}:0"])
        mean = self._node("Mean", f"{name}/mean", [f"{name}/errors", f"{name}/axes"])
        mean.attr["Tidx"].type = tf.int32.as_datatype_enum
        self._node("Sub", f"{name}/corrected", [f"{name}:0", f"{name}/mean"])
        self.differences[weight] = f"{name}/mean:0"
        self._changed[f"{layer}:0"] = f"{name}/corrected:0"
        return f"{name}/mean"

    def _round(self, tensor: str, low: float, high: float) -> None:
        """Put a tensor on the grid that int8 has for its range, which it is made to hold 0."""
        largest = max(-low, high)
        if not math.isfinite(largest) or largest <= 0:
            return
        ends = (0.0, high) if low >= 0 else (largest * _LOWEST / _HIGHEST, largest)
        name = f"{_PREFIX}/grid/{tensor.replace(':', '/')}"
        for end, value in zip(("low", "high"), ends, strict=True):
            self._constant(f"{name}/{end}", np.float32(value))
        node = self.graph_def.node.add(op="FakeQuantWithMinMaxVars", name=name)
        node.input.extend([self._twin_of(tensor), f"{name}/low", f"{name}/high"])
        node.attr["num_bits"].i = 8
        self._changed[tensor] = f"{name}:0"

    def _constant(self, name: str, values: Any) -> None:
        node = self.graph_def.node.add(op="Const", name=name)
        made = tf.make_tensor_proto(values)
        node.attr["dtype"].type = made.dtype
        node.attr["value"].tensor.CopyFrom(made)

    def _node(self, op: str, name: str, inputs: Sequence[str]) -> Any:
        node = self.graph_def.node.add(op=op, name=name, input=inputs)
        node.attr["T"].type = tf.float32.as_datatype_enum
        return node


def _after_their_inputs(graph_def: Any) -> list[str]:
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        return [operation.name for operation in graph.get_operations()]
