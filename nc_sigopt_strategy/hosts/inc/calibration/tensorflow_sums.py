"""TensorFlow: residual sums whose int8 kernel has half of the numbers that it says.

Where a convolution adds what another one made without a ReLU, INC's
``QuantizedConv2DWithBiasSignedSumAndReluAndRequantize`` writes over that other one's int8. Its
output is said to be uint8, a 255th of the range a step, and the kernel stops at int8's largest
number: whatever lies in the upper half of the range becomes its middle (TensorFlow 2.18 with
oneDNN, compared with what the op's inputs come to). Here the range is told to be twice as wide, so
that the largest value is the last number that there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow_reads import node_of

# What becomes that op once the step to uint8 is fused into it.
_SUM = "QuantizedConv2DWithBiasSumAndRelu"
_REQUANTIZE = ("Requantize", "RequantizePerChannel")
# Where it names the constant with the largest value.
_LARGEST = 4
_TOLD, _THERE = 255, 127


def widen_signed_sums(graph_def: Any) -> int:
    """Widen the ranges of sums with int8 numbers that have a sign, in place.

    Args:
        graph_def: INC's, with ranges that are frozen and not fused into ops yet.

    Returns:
        How many there were.
    """
    nodes = {node.name: node for node in graph_def.node}
    widened = 0
    for node in list(graph_def.node):
        if node.op not in _REQUANTIZE or not _adds_signed(
            nodes.get(node_of(node.input[0])), nodes
        ):
            continue
        largest = nodes.get(node_of(node.input[_LARGEST]))
        if largest is None or largest.op != "Const":
            continue
        value = tf.make_ndarray(largest.attr["value"].tensor) * np.float32(_TOLD / _THERE)
        # A constant of its own: who else reads the range is told the truth by the op's outputs.
        own = graph_def.node.add()
        own.CopyFrom(largest)
        own.name = f"{node.name}/nc_sigopt_max"
        own.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.float32))
        node.input[_LARGEST] = own.name
        widened += 1
    return widened


def _adds_signed(conv: Any, nodes: Any) -> bool:
    if conv is None or conv.op != _SUM:
        return False
    summand = nodes.get(node_of(conv.input[-1]))
    signed = tf.qint8.as_datatype_enum
    return summand is not None and summand.op == "Dequantize" and summand.attr["T"].type == signed
