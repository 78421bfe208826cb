"""Fitted weights and biases in the graph that Neural Compressor makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.light_constants import LightConstants
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_fitting import (
    FittedWeights,
    QuantizedGraph,
)
from nc_sigopt_strategy.hosts.rounding.moments import Moments
from nc_sigopt_strategy.hosts.statistics_store import Section

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(12, 5)).astype(np.float32)
BIAS = np.arange(5, dtype=np.float32)
INPUTS = (RNG.normal(size=(400, 3)) @ RNG.normal(size=(3, 12)) + 1).astype(np.float32)


def constant(graph_def: Any, name: str, values: Any, dtype: Any = tf.float32) -> None:
    node = graph_def.node.add(op="Const", name=name)
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values, dtype, np.shape(values)))


def fp32() -> Any:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 12), name="input")
        tf.matmul(x, tf.constant(WEIGHT, name="weight"), name="layer")
        return graph.as_graph_def()


def quantized(ranges: Any, readers_of_bias: int = 1) -> Any:
    """What Neural Compressor makes of it, as far as it is read."""
    graph_def = tf.compat.v1.GraphDef()
    numbers = np.round(WEIGHT * 127 / ranges).astype(np.int8)
    constant(graph_def, "weight_qint8_const", numbers, tf.qint8)
    constant(graph_def, "weight_min", -np.asarray(ranges, np.float32))
    constant(graph_def, "weight_max", np.asarray(ranges, np.float32))
    constant(graph_def, "bias", BIAS)
    read = ["input", "weight_qint8_const", "bias", "low", "high", "weight_min", "weight_max"]
    graph_def.node.add(op="QuantizedMatMulWithBias", name="quantized", input=read)
    for number in range(1, readers_of_bias):
        graph_def.node.add(op="BiasAdd", name=f"other{number}", input=["input", "bias"])
    return graph_def


def fitted(constants: LightConstants) -> FittedWeights:
    weights = FittedWeights(fp32(), Section("key"), constants)
    assert list(weights.missing()) == ["weight"]
    moments = Moments(weights.layers["weight"])
    moments.add_inputs(INPUTS[None])
    weights.fit({"weight": moments}, lambda done: None)
    assert not weights.missing()
    return weights


def values_of(graph_def: Any, constants: LightConstants, name: str) -> Any:
    (node,) = (node for node in graph_def.node if node.name == name)
    return constants.values(node)


RANGES = {"per channel": np.abs(WEIGHT).max(axis=0), "per tensor": np.abs(WEIGHT).max()}


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_outputs_come_closer_and_keep_their_means(ranges: Any) -> None:
    constants = LightConstants()
    graph_def = quantized(ranges)
    nearest = values_of(graph_def, constants, "weight_qint8_const").astype(np.float64)
    assert QuantizedGraph(graph_def, constants).fit(fitted(constants)) == 1
    numbers = values_of(graph_def, constants, "weight_qint8_const").astype(np.float64)
    bias = values_of(graph_def, constants, "bias")
    steps = ranges / 127
    wanted = INPUTS @ WEIGHT + BIAS
    errors = INPUTS @ (numbers * steps) + bias - wanted
    assert np.abs(errors.mean(axis=0)).max() < 1e-4 * np.abs(wanted).max()
    before = INPUTS @ (nearest * steps) + BIAS - wanted
    assert (errors**2).mean() < 0.3 * (before - before.mean(axis=0)).var()


def test_a_bias_that_others_read_stays_theirs() -> None:
    constants = LightConstants()
    graph_def = quantized(RANGES["per channel"], readers_of_bias=2)
    QuantizedGraph(graph_def, constants).fit(fitted(constants))
    (node,) = (node for node in graph_def.node if node.name == "quantized")
    assert (values_of(graph_def, constants, "bias") == BIAS).all()
    assert node.input[2] != "bias"
    assert (values_of(graph_def, constants, node.input[2]) != BIAS).any()


def test_ranges_of_another_kind_leave_the_op_alone() -> None:
    constants = LightConstants()
    graph_def = quantized(RANGES["per channel"] * 1.5)
    before = graph_def.SerializeToString(deterministic=True)
    assert QuantizedGraph(graph_def, constants).fit(fitted(constants)) == 0
    assert graph_def.SerializeToString(deterministic=True) == before
