"""Weights that a graph computes from constants are constants for INC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.computed_weights import fold_computed_weights
from tests.support.tensorflow_graphs import run

CHANNELS = 4
BIAS = np.arange(CHANNELS, dtype=np.float32)


def graph_of(bias: Callable[[], Any]) -> Any:
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 6, 6, 3], name="image")
        kernel = np.random.default_rng(0).normal(size=(3, 3, 3, CHANNELS)).astype(np.float32)
        conv = tf.nn.conv2d(image, tf.constant(kernel, name="kernel"), 1, "SAME", name="conv")
        tf.identity(tf.nn.bias_add(conv, bias(), name="biased"), name="out")
    return graph.as_graph_def()


def node(graph_def: Any, name: str) -> Any:
    return next(node for node in graph_def.node if node.name == name)


@pytest.mark.parametrize(
    "bias",
    [
        lambda: tf.squeeze(tf.reshape(tf.constant(BIAS), [1, 1, 1, CHANNELS]), name="made"),
        lambda: tf.identity(tf.multiply(tf.constant(BIAS), 2.0, name="made"), name="behind"),
        lambda: tf.cast(tf.constant(BIAS.astype(np.float64)), tf.float32, name="made"),
        lambda: tf.transpose(tf.constant(BIAS), name="made"),
    ],
    ids=["keras 3", "behind an identity", "cast", "transposed"],
)
def test_a_bias_that_is_computed_becomes_a_constant(bias: Callable[[], Any]) -> None:
    given = graph_of(bias)
    folded = fold_computed_weights(given)
    assert node(given, "made").op != "Const"
    assert node(folded, "made").op == "Const"
    np.testing.assert_allclose(run(folded), run(given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "bias",
    [
        lambda: tf.constant(BIAS),
        lambda: tf.identity(tf.constant(BIAS)),
        lambda: tf.random.uniform([CHANNELS]) + tf.constant(BIAS),
    ],
    ids=["constant", "identity", "random"],
)
def test_what_inc_reads_itself_or_changes_from_run_to_run_stays(bias: Callable[[], Any]) -> None:
    given = graph_of(bias)
    folded = fold_computed_weights(given)
    biased = node(folded, "biased").input[1]
    assert node(folded, biased).op == node(given, biased).op


def test_an_expression_larger_than_its_constants_is_left() -> None:
    given = graph_of(lambda: tf.identity(tf.fill([9, 9, CHANNELS], 1.0)[0, 0], name="made"))
    assert node(fold_computed_weights(given), "made").op == "Identity"
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1], name="image")
        tf.identity(x + tf.fill([1000, 1000], 1.0, name="large"), name="out")
    assert node(fold_computed_weights(graph.as_graph_def()), "large").op == "Fill"


def test_outputs_and_constants_of_a_branch_stay() -> None:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [CHANNELS], name="image")
        with tf.control_dependencies([x]):
            bound = tf.constant(BIAS)
        tf.identity(x + tf.multiply(bound, 2.0, name="in_a_frame"), name="out")
        tf.multiply(tf.constant(BIAS), 2.0, name="output")
        tf.identity(graph.get_tensor_by_name("output:0") + x, name="reader")
    given = graph.as_graph_def()
    folded = fold_computed_weights(given, keep=["output"])
    assert node(folded, "in_a_frame").op == "Mul"
    assert node(folded, "output").op == "Mul"
