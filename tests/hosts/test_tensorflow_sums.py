"""Ranges of residual sums with numbers that have a sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_sums import widen_signed_sums


def graph_of(
    *,
    summand: tf.DType = tf.qint8,
    conv: str = "QuantizedConv2DWithBiasSumAndRelu",
    requantize: str = "RequantizePerChannel",
) -> Any:
    """What Neural Compressor makes of a sum, as far as it is read; two ops read the range."""
    graph_def = tf.compat.v1.GraphDef()
    other = graph_def.node.add(op="Dequantize", name="other", input=["x", "x:1", "x:2"])
    other.attr["T"].type = summand.as_datatype_enum
    graph_def.node.add(op=conv, name="conv", input=["y", "weight", "bias", "a", "b", "other"])
    largest = graph_def.node.add(op="Const", name="largest")
    largest.attr["dtype"].type = tf.float32.as_datatype_enum
    largest.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(12.7)))
    for name, op in (("sum", requantize), ("elsewhere", "Dequantize")):
        read = ["conv", "conv:1", "conv:2", "smallest", "largest"]
        graph_def.node.add(op=op, name=name, input=read)
    return graph_def


def largest_of(graph_def: Any, name: str) -> float:
    nodes = {node.name: node for node in graph_def.node}
    return float(tf.make_ndarray(nodes[nodes[name].input[4]].attr["value"].tensor))


@pytest.mark.parametrize("requantize", ["Requantize", "RequantizePerChannel"])
def test_the_largest_value_is_the_last_number_of_int8(requantize: str) -> None:
    graph_def = graph_of(requantize=requantize)
    assert widen_signed_sums(graph_def) == 1
    assert largest_of(graph_def, "sum") * 127 / 255 == pytest.approx(12.7)
    assert largest_of(graph_def, "elsewhere") == pytest.approx(12.7)


@pytest.mark.parametrize(
    "other", [{"summand": tf.quint8}, {"conv": "QuantizedConv2DWithBiasAndRelu"}], ids=str
)
def test_other_sums_keep_their_ranges(other: Any) -> None:
    graph_def = graph_of(**other)
    before = graph_def.SerializeToString(deterministic=True)
    assert widen_signed_sums(graph_def) == 0
    assert graph_def.SerializeToString(deterministic=True) == before
