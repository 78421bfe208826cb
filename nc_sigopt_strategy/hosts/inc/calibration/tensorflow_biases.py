"""TensorFlow: each convolution gets a bias before Neural Compressor makes int8 of it.

INC adds zeros to convolutions without a bias (its ``InjectDummyBiasAddOptimizer``), except where
an addition follows, which may be a bias. In a residual sum it is none: the convolution alone
becomes a ``QuantizedConv2DPerChannel``, whose kernel counts all output channels in the steps of
the first one (TensorFlow 2.18 with oneDNN: off by the ratio of the two channels' weight scales).
With a bias, INC has the sum done by the convolution itself, by a kernel that is right.
Convolutions without a bias are common before a sum: pre-activation ResNets have them, and a bias
of zeros that a model was exported with is removed by TensorFlow's optimizer.

Where a convolution is added to its own input it stays as it is; see ``tensorflow_own_sums``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow_reads import node_of, origin_of, readers_of
from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach, replaced
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_modules import (
    InjectDummyBiasAddOptimizer,
)
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_own_sums import (
    convolutions_added_to_their_input,
)

_CONVOLUTION = "Conv2D"
_SUMS = ("Add", "AddV2", "AddN")
_BEHIND = ("Identity", "Enter")
# As INC names what it adds.
_BIAS, _ZEROS = "_dummy_biasadd", "_dummy_biasadd_const"


def bias_reach() -> Reach:
    """What makes INC's optimizer of FP32 graphs add biases before sums, too."""

    def added(real: Any, optimizer: Any) -> Any:
        optimizer.model = with_biases_before_sums(optimizer.model, optimizer.outputs)
        return real(optimizer)

    return Reach(InjectDummyBiasAddOptimizer, "do_transformation", added)


def biases_added() -> AbstractContextManager[None]:
    """While entered, FP32 graphs that INC optimizes get biases before sums, too."""
    return replaced([bias_reach()])


def with_biases_before_sums(graph_def: Any, outputs: Iterable[str]) -> Any:
    """A graph whose convolutions have a bias where a sum is all that reads them.

    Args:
        graph_def: Changed in place.
        outputs: Names of the model's output nodes, whose values are read, too.

    Returns:
        The graph.
    """
    nodes = {node.name: node for node in graph_def.node}
    readers, kept = readers_of(graph_def), frozenset(outputs)
    summed = [
        (node, readers[name][0])
        for name, node in nodes.items()
        if node.op == _CONVOLUTION
        and name not in kept
        and len(readers[name]) == 1
        and _sums_values(readers[name][0], nodes)
    ]
    if not summed:
        return graph_def
    own = convolutions_added_to_their_input(graph_def)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    # All are looked at before any is changed: two of them may meet in one sum.
    summed = [
        (node, reader)
        for node, reader in summed
        if node.name not in own and _equal_shapes(reader, graph)
    ]
    for node, reader in summed:
        channels = _output_channels(node, nodes)
        if channels is not None:
            _add_bias(graph_def, node, reader, channels)
    return graph_def


def _equal_shapes(reader: Any, graph: tf.Graph) -> bool:
    """Whether a sum is one of equal shapes, the batch aside, as far as they are known.

    INC has a convolution add whatever it is summed with, also what would have to be broadcast.
    """
    found = [
        graph.as_graph_element(read if ":" in read else f"{read}:0").shape
        for read in reader.input
        if not read.startswith("^")
    ]
    if any(shape.rank is None for shape in found):
        return False
    return len({tuple(shape.as_list()[1:]) for shape in found}) == 1


def _add_bias(graph_def: Any, node: Any, reader: Any, channels: int) -> None:
    zeros = graph_def.node.add(op="Const", name=f"{node.name}{_ZEROS}", device=node.device)
    zeros.attr["dtype"].type = tf.float32.as_datatype_enum
    zeros.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.zeros(channels, np.float32)))
    bias = graph_def.node.add(op="BiasAdd", name=f"{node.name}{_BIAS}", device=node.device)
    bias.input.extend([node.name, zeros.name])
    bias.attr["T"].type = tf.float32.as_datatype_enum
    if "data_format" in node.attr:
        bias.attr["data_format"].CopyFrom(node.attr["data_format"])
    for position, read in enumerate(reader.input):
        if node_of(read) == node.name:
            reader.input[position] = bias.name


def _output_channels(node: Any, nodes: Any) -> int | None:
    """Of a float32 convolution with a constant kernel, outside of loops; else ``None``."""
    kernel = nodes.get(origin_of(node.input[1], nodes))
    if kernel is None or kernel.op != "Const":
        return None
    tensor = kernel.attr["value"].tensor
    if tensor.dtype != tf.float32.as_datatype_enum or len(tensor.tensor_shape.dim) != 4:
        return None
    return int(tensor.tensor_shape.dim[3].size)


def _sums_values(reader: Any, nodes: Any) -> bool:
    """Whether a node adds what is computed; what adds a constant may be a bias itself."""
    if reader.op not in _SUMS:
        return False
    for read in reader.input:
        behind = nodes.get(origin_of(read, nodes, _BEHIND))
        if behind is None or behind.op == "Const":
            return False
    return True
