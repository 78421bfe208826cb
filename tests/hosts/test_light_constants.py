"""TensorFlow graphs without their large constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import tensor_util

from nc_sigopt_strategy.hosts.inc.calibration.light_constants import LightConstants

LARGE = np.arange(10_000, dtype=np.float32).reshape(100, 100)


def graph_of(**arrays: Any) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        for name, array in arrays.items():
            tf.constant(array, name=name)
    return graph.as_graph_def()


def test_restored_graph_is_the_same() -> None:
    graph_def = graph_of(large=LARGE, small=LARGE[:2, :2], half=tf.cast(LARGE, tf.bfloat16))
    before = graph_def.SerializeToString(deterministic=True)
    constants = LightConstants()
    light = constants.lighten_graph(graph_def)
    assert light.ByteSize() < 1000
    assert constants.restore(light).SerializeToString(deterministic=True) == before


def test_type_and_shape_stay_and_small_ones_are_untouched() -> None:
    graph_def = graph_of(large=LARGE, small=LARGE[:2, :2])
    LightConstants().lighten_graph(graph_def)
    large, small = (node.attr["value"].tensor for node in graph_def.node)
    assert large.dtype == tf.float32.as_datatype_enum
    assert [d.size for d in large.tensor_shape.dim] == [100, 100]
    np.testing.assert_array_equal(tensor_util.MakeNdarray(small), LARGE[:2, :2])


def test_equal_constants_look_equal_and_others_do_not() -> None:
    graph_def = graph_of(a=LARGE, b=LARGE, c=LARGE + 1)
    LightConstants().lighten_graph(graph_def)
    a, b, c = (node.attr["value"].SerializeToString() for node in graph_def.node)
    assert a == b
    assert a != c


def test_values_are_read_only_while_readable() -> None:
    constants = LightConstants()
    real = tensor_util.MakeNdarray
    (node,) = constants.lighten_graph(graph_of(large=LARGE)).node
    assert constants.is_light(node)
    with constants.readable():
        np.testing.assert_array_equal(tensor_util.MakeNdarray(node.attr["value"].tensor), LARGE)
    assert tensor_util.MakeNdarray is real
    assert not np.array_equal(real(node.attr["value"].tensor), LARGE)


def test_lightened_twice_is_lightened_once() -> None:
    constants = LightConstants()
    graph_def = constants.lighten_graph(graph_of(large=LARGE))
    once = graph_def.SerializeToString(deterministic=True)
    assert constants.lighten_graph(graph_def).SerializeToString(deterministic=True) == once
