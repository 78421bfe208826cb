"""The graph that gathers statistics on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import (
    tensors_to_gather,
    with_reductions,
    without_prints,
)

V1 = tf.compat.v1


def graph_of(build: Callable[[Any], None]) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        build(V1.placeholder(tf.float32, (None, 3), name="input"))
    return graph.as_graph_def()


def two_branches(value: Any) -> None:
    left = tf.multiply(value, tf.constant(2.0), name="left")
    right = tf.exp(value, name="right")
    tf.add(left, right, name="output")
    tf.abs(value, name="aside")
    tf.argmax(value, axis=1, name="integers")


def run(graph_def: Any, fetches: list[str], values: Any) -> list[Any]:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with V1.Session(graph=graph) as session:
        return list(session.run(fetches, {"input:0": values}))


def test_gathers_what_the_outputs_are_computed_from() -> None:
    graph_def = graph_of(two_branches)
    found = tensors_to_gather(graph_def, [], ["output"])
    assert set(found) == {"input:0", "left:0", "right:0", "output:0"}
    assert found.index("input:0") == 0
    assert found[-1] == "output:0"


def test_gathers_what_is_asked_for_wherever_it_is() -> None:
    found = tensors_to_gather(graph_of(two_branches), ["aside", "left:0"], ["output"])
    assert sorted(found) == ["aside:0", "input:0", "left:0", "output:0", "right:0"]


def branch(value: Any) -> None:
    off, on = tf.raw_ops.Switch(data=value, pred=tf.constant(True))
    merged, _ = tf.raw_ops.Merge(inputs=[off, tf.exp(on, name="inside")])
    tf.identity(merged, name="output")


def test_nothing_more_is_fetched_from_graphs_with_branches() -> None:
    graph_def = graph_of(branch)
    assert tensors_to_gather(graph_def, ["output"], ["output"]) == ["output:0"]
    fetches = with_reductions(graph_def, ["input:0", "output:0"])
    assert not any(i.startswith("^") for node in graph_def.node for i in node.input)
    values = np.array([[1, 2, 3]], np.float32)
    (smallest,) = run(graph_def, [fetches["Min", "output:0"]], values)
    assert smallest == pytest.approx(np.e)


def test_reductions_are_those_of_the_values() -> None:
    graph_def = graph_of(two_branches)
    tensors = tensors_to_gather(graph_def, [], ["output"])
    fetches = with_reductions(graph_def, tensors)
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    found = dict(zip(fetches, run(graph_def, list(fetches.values()), values), strict=True))
    for tensor, array in zip(tensors, run(graph_def, tensors, values), strict=True):
        assert found["Min", tensor] == array.min()
        assert found["Max", tensor] == array.max()


def test_a_tensor_waits_until_earlier_ones_are_reduced() -> None:
    graph_def = graph_of(two_branches)
    tensors = tensors_to_gather(graph_def, [], ["output"])
    with_reductions(graph_def, tensors)
    waits = {
        node.name: [i for i in node.input if i.startswith("^")]
        for node in graph_def.node
        if f"{node.name}:0" in tensors
    }
    assert waits["input"] == []
    assert len(waits["output"]) == 2


def test_prints_and_what_waits_for_them_are_left_out() -> None:
    def build(value: Any) -> None:
        printed = tf.raw_ops.Print(input=value, data=[value], name="printed")
        with tf.control_dependencies([printed.op]):
            tf.exp(value, name="output")

    stripped = without_prints(graph_of(build))
    assert "Print" not in {node.op for node in stripped.node}
    values = np.zeros((1, 3), np.float32)
    np.testing.assert_array_equal(run(stripped, ["output:0"], values)[0], np.ones((1, 3)))


def test_what_reads_the_prints_of_an_output_is_left_out() -> None:
    def build(value: Any) -> None:
        output = tf.exp(value, name="output")
        printed = tf.raw_ops.Print(input=output, data=[output], name="printed")
        tf.identity(tf.identity(printed, name="behind"), name="further")

    graph_def = graph_of(build)
    # INC's own graph is in no particular order.
    shuffled = type(graph_def)()
    shuffled.node.extend(reversed(graph_def.node))
    stripped = without_prints(shuffled)
    assert {node.name for node in stripped.node} == {"input", "output"}
    values = np.zeros((1, 3), np.float32)
    np.testing.assert_array_equal(run(stripped, ["output:0"], values)[0], np.ones((1, 3)))
