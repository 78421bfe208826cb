"""Convolutions without a bias whose outputs are summed get one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_biases import with_biases_before_sums
from tests.support.tensorflow_graphs import run

CHANNELS = 4
KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, CHANNELS)).astype(np.float32)
SQUARE = np.random.default_rng(2).normal(size=(1, 1, CHANNELS, CHANNELS)).astype(np.float32)
# A value for each pixel, as position embeddings are.
PIXELS = np.random.default_rng(1).normal(size=(6, 6, CHANNELS)).astype(np.float32)


def graph_of(behind: Callable[[Any, Any], Any]) -> Any:
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 6, 6, 3], name="image")
        conv = tf.nn.conv2d(image, tf.constant(KERNEL), 1, "SAME", name="conv")
        other = tf.tile(tf.reduce_mean(image, 3, keepdims=True), [1, 1, 1, CHANNELS])
        tf.identity(behind(conv, other), name="out")
    return graph.as_graph_def()


def biases(graph_def: Any) -> list[str]:
    return [str(node.input[0]) for node in graph_def.node if node.op == "BiasAdd"]


@pytest.mark.parametrize(
    "behind",
    [
        lambda conv, other: conv + other,
        lambda conv, other: other + conv,
        lambda conv, other: tf.raw_ops.Add(x=conv, y=other),
        lambda conv, other: tf.raw_ops.AddN(inputs=[conv, other, other]),
    ],
    ids=["first", "second", "v1", "three"],
)
def test_a_convolution_in_a_sum_gets_zeros(behind: Callable[[Any, Any], Any]) -> None:
    given = graph_of(behind)
    expected = run(given)
    changed = with_biases_before_sums(given, ["out"])
    assert biases(changed) == ["conv"]
    np.testing.assert_array_equal(run(changed), expected)
    assert biases(with_biases_before_sums(changed, ["out"])) == ["conv"]  # once


def test_two_that_meet_in_one_sum_get_zeros_each() -> None:
    given = graph_of(lambda conv, other: conv + tf.nn.conv2d(other, SQUARE, 1, "SAME", name="too"))
    expected = run(given)
    changed = with_biases_before_sums(given, ["out"])
    assert sorted(biases(changed)) == ["conv", "too"]
    np.testing.assert_array_equal(run(changed), expected)


@pytest.mark.parametrize("between", [lambda x: x, tf.identity], ids=["itself", "an identity"])
def test_a_convolution_added_to_its_own_input_stays(between: Callable[[Any], Any]) -> None:
    # TensorFlow's fused int8 sum of the two would end the process.
    def behind(conv: Any, other: Any) -> Any:
        return between(other) + tf.nn.conv2d(other, SQUARE, 1, "SAME", name="too")

    assert not biases(with_biases_before_sums(graph_of(behind), ["out"]))


@pytest.mark.parametrize(
    ("behind", "outputs"),
    [
        (lambda conv, other: conv + tf.constant(np.ones(CHANNELS, np.float32)), ["out"]),
        (lambda conv, other: conv + tf.identity(tf.constant(PIXELS)), ["out"]),
        (lambda conv, other: conv + tf.reduce_mean(other, [1, 2], keepdims=True), ["out"]),
        (lambda conv, other: tf.nn.relu(conv), ["out"]),
        (lambda conv, other: tf.nn.relu(conv) + (conv + other), ["out"]),
        (lambda conv, other: conv + other, ["out", "conv"]),
    ],
    ids=["a bias", "a constant", "broadcast", "no sum", "read twice", "an output"],
)
def test_others_stay_as_they_are(behind: Callable[[Any, Any], Any], outputs: list[str]) -> None:
    given = graph_of(behind)
    before = given.SerializeToString(deterministic=True)
    assert with_biases_before_sums(given, outputs).SerializeToString(deterministic=True) == before
