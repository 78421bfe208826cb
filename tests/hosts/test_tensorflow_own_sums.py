"""Convolutions that are added to their own input are kept from int8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_own_sums import (
    convolutions_added_to_their_input,
    without_int8_of_own_sums,
)

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)


def conv(x: Any, name: str, bias: Any = tf.nn.bias_add) -> Any:
    return bias(
        tf.nn.conv2d(x, tf.constant(KERNEL), 1, "SAME", name=name),
        tf.constant(np.ones(4, np.float32)),
    )


def graph_of(build: Callable[[Any], Any]) -> Any:
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, [None, 6, 6, 4], name="image")
        tf.nn.relu(build(image), name="out")
    return graph.as_graph_def()


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x + conv(x, "conv"),
        lambda x: conv(x, "conv") + x,
        lambda x: tf.identity(x) + conv(tf.identity(x), "conv"),
        lambda x: tf.raw_ops.AddN(inputs=[x, conv(x, "conv")]),
        lambda x: x + conv(x, "conv", bias=tf.add),
        lambda x: x + tf.nn.conv2d(x, tf.constant(KERNEL), 1, "SAME", name="conv"),
    ],
    ids=["second", "first", "identities", "three", "added bias", "no bias"],
)
def test_they_are_found(build: Callable[[Any], Any]) -> None:
    assert convolutions_added_to_their_input(graph_of(build)) == {"conv"}


@pytest.mark.parametrize(
    "build",
    [
        lambda x: conv(x, "conv"),
        lambda x: x + conv(conv(x, "first"), "second"),
        lambda x: tf.nn.relu(x) + conv(x, "conv"),
        lambda x: conv(x, "conv") + conv(x, "other"),
        lambda x: x + tf.nn.relu(conv(x, "conv")),
    ],
    ids=["no sum", "two in a row", "another input", "of two", "an activation between"],
)
def test_no_others_are(build: Callable[[Any], Any]) -> None:
    assert not convolutions_added_to_their_input(graph_of(build))


def test_their_int8_is_taken_away_and_told() -> None:
    ways = [
        {"activation": {"dtype": ["int8", "uint8"]}},
        {"activation": {"dtype": "bf16"}},
        {"activation": {"dtype": "fp32"}},
    ]
    by_op = {("conv", "conv2d"): ways, ("before", "conv2d"): ways}
    graph = graph_of(lambda x: (h := conv(x, "before")) + conv(h, "conv"))
    found, notes = without_int8_of_own_sums(by_op, graph)
    assert found == {("conv", "conv2d"): ways[1:], ("before", "conv2d"): ways}
    assert by_op["conv", "conv2d"] == ways, "as it was"
    assert len(notes) == 1
    assert "conv" in notes[0]
    assert without_int8_of_own_sums(by_op, graph_of(lambda x: conv(x, "conv"))) == (by_op, ())
