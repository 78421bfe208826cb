"""Half-precision graphs as float32 ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow import TensorFlowSession
from nc_sigopt_strategy.hosts.inc.widened import widen

ROWS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def graph_of(make: Any, fed: Any = tf.float32) -> Any:
    with tf.Graph().as_default() as graph:
        given = tf.compat.v1.placeholder(fed, (None, 6), name="given")
        tf.identity(make(given), name="out")
    return graph.as_graph_def()


def halves(rows: Any, half: Any = tf.float16) -> Any:
    """As Keras' mixed precision writes it: float32 weights, cast."""
    weights = tf.cast(tf.constant(np.linspace(-1, 1, 18, dtype=np.float32).reshape(6, 3)), half)
    product = tf.matmul(tf.cast(rows, half), weights) + tf.constant([1.0, 2.0, 3.0], half)
    return tf.cast(tf.nn.relu(product), tf.float32)


def answers(graph_def: Any, rows: Any = ROWS) -> Any:
    return TensorFlowSession(graph_def, ["given"], ["out"]).run(rows)[0]


def types_in(graph_def: Any) -> set[Any]:
    return {node.attr["T"].type for node in graph_def.node if node.op in ("MatMul", "Relu")}


@pytest.mark.parametrize("half", [tf.float16, tf.bfloat16], ids=["float16", "bfloat16"])
def test_what_computes_in_half_computes_the_same_in_float32(half: Any) -> None:
    given = graph_of(lambda rows: halves(rows, half))
    wide, note = widen(given, ["out"])
    assert "float32" in str(note)
    assert types_in(given) == {half.as_datatype_enum}
    assert types_in(wide) == {tf.float32.as_datatype_enum}
    assert np.allclose(answers(wide), answers(given), atol=0.1)
    exact = np.maximum(ROWS @ np.linspace(-1, 1, 18).reshape(6, 3) + [1, 2, 3], 0)
    assert np.allclose(answers(wide), exact, atol=1e-5)


def test_an_input_in_half_keeps_its_type() -> None:
    wide, _ = widen(graph_of(halves, tf.float16), ["out"])
    fed = next(node for node in wide.node if node.name == "given")
    assert fed.attr["dtype"].type == tf.float16.as_datatype_enum
    assert answers(wide, ROWS.astype(np.float16)).dtype == np.float32


def test_functions_are_widened_too() -> None:
    def stepped(rows: Any) -> Any:
        _, found = tf.while_loop(
            lambda step, state: step < 2,
            lambda step, state: (step + 1, tf.nn.relu(state)),
            [tf.constant(0), tf.cast(rows, tf.float16)],
        )
        return tf.cast(found, tf.float32)

    tf.compat.v1.enable_control_flow_v2()
    try:
        given = graph_of(stepped)
    finally:
        tf.compat.v1.disable_control_flow_v2()
    assert given.library.function
    wide, _ = widen(given, ["out"])
    assert np.allclose(answers(wide), np.maximum(ROWS, 0), atol=1e-6)


def test_a_float32_graph_stays_as_it_is() -> None:
    given = graph_of(lambda rows: tf.nn.relu(rows))
    assert widen(given, ["out"]) == (given, None)
