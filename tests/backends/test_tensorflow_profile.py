"""Profiles of TensorFlow graphs: which op the time of a node is, whatever it is called by then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_strategy.backends.op_times import least_of
from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend
from nc_sigopt_strategy.backends.tensorflow_profile import op_times

_V1 = tf.compat.v1


@dataclass
class Node:
    """A node of step stats, and of a graph."""

    node_name: str
    kind: str
    micros: int
    input: tuple[str, ...] = ()
    op_start_rel_micros: int = 3
    cast_to: Any = tf.float32

    @property
    def name(self) -> str:
        return self.node_name

    @property
    def op(self) -> str:
        return self.kind

    @property
    def attr(self) -> dict[str, Any]:
        return {"DstT": tf.compat.v1.AttrValue(type=self.cast_to.as_datatype_enum)}

    @property
    def op_end_rel_micros(self) -> int:
        return self.op_start_rel_micros + self.micros

    @property
    def timeline_label(self) -> str:
        return f"[mklcpu 1MB 1MB] {self.node_name} = {self.kind}({', '.join(self.input)})"


@dataclass
class Stats:
    """Step stats, a device's part of them, and a graph."""

    node_stats: list[Node] = field(default_factory=list)

    @property
    def dev_stats(self) -> list[Stats]:
        return [self]

    @property
    def node(self) -> list[Node]:
        return self.node_stats


def micros(nodes: list[Node], ops: list[str], ran: list[Node] | None = None) -> dict[str, float]:
    times = op_times([Stats(ran or nodes)], Stats(nodes), ops)
    assert times is not None
    return {name: round(1e6 * seconds) for name, seconds in times.seconds.items()}


def test_what_follows_an_op_is_its_own_up_to_the_next_op() -> None:
    nodes = [
        Node("in", "Placeholder", 1),
        Node("scale", "Mul", 100, ("in",)),
        Node("a/w", "Const", 1),
        Node("a", "Conv2D", 10, ("scale", "a/w")),
        Node("a/shift", "Mul", 2, ("a/w:0", "a:0")),
        Node("a/relu", "Relu6", 3, ("a/shift",)),
        Node("b", "Conv2D", 20, ("a/relu",)),
        Node("sum", "Add", 4, ("b", "a/relu", "^in")),
    ]
    assert micros(nodes, ["a", "b"]) == {"a": 15, "b": 24}


def test_fused_nodes_have_the_name_of_the_last_of_them() -> None:
    nodes = [
        Node("in", "Placeholder", 0),
        Node("a", "Conv2D", 0, ("in",)),
        Node("a/bias", "BiasAdd", 0, ("a",)),
        Node("a/relu", "Relu", 0, ("a/bias",)),
    ]
    ran = [Node("a/relu", "_MklNativeFusedConv2D", 17), Node("_arg_in_0", "_Arg", 1)]
    assert micros(nodes, ["a"], ran) == {"a": 17}


def test_int8_nodes_belong_to_the_op_that_their_names_begin_with() -> None:
    nodes = [
        Node("in", "Placeholder", 0),
        Node("a_eightbit_quantize_in", "_MklQuantizeV2", 50, ("in",)),
        Node("a_eightbit_requantize", "_MklQuantizedConv2DWithBiasAndReluAndRequantize", 10,
             ("a_eightbit_quantize_in",)),
        Node("b_eightbit_requantize", "_MklQuantizedConv2DAndRequantize", 20,
             ("a_eightbit_requantize",)),
        Node("b_eightbit_requant", "_MklRequantize", 2, ("b_eightbit_requantize",)),
        Node("b_dequantize", "_MklDequantize", 60, ("b_eightbit_requant",)),
        Node("layout", "_MklToTf", 100, ("b_dequantize",)),
        Node("out", "Reshape", 5, ("layout",)),
    ]  # fmt: skip
    assert micros(nodes, ["a", "b"]) == {"a": 60, "b": 87}


def test_conversions_down_are_the_next_op_s_and_up_the_last_one_s() -> None:
    nodes = [
        Node("in", "Placeholder", 0),
        Node("in/to_half", "Cast", 50, ("in",), cast_to=tf.bfloat16),
        Node("a", "Conv2D", 10, ("in/to_half",)),
        Node("a/back", "Cast", 60, ("a",)),
        Node("a/relu", "Relu", 3, ("a/back",)),
        Node("a/to_half", "Cast", 70, ("a/relu",), cast_to=tf.bfloat16),
        Node("b", "Conv2D", 20, ("a/to_half",)),
        Node("b/back", "Cast", 80, ("b",)),
        Node("quantized", "QuantizeV2", 90, ("b/back",)),
        Node("c", "QuantizedConv2D", 5, ("quantized",)),
    ]
    assert micros(nodes, ["a", "b", "c"]) == {"a": 123, "b": 170, "c": 95}


def test_loops_in_a_graph_end() -> None:
    nodes = [
        Node("enter", "Enter", 1),
        Node("merge", "Merge", 1, ("enter", "next")),
        Node("a", "MatMul", 10, ("merge",)),
        Node("next", "NextIteration", 2, ("a",)),
    ]
    assert micros(nodes, ["a"])["a"] >= 12


def test_the_shortest_of_several_runs_counts() -> None:
    assert least_of([{"a": 3.0, "b": 1.0}, {"a": 2.0, "c": 1.0}]) == {"a": 2.0}
    assert least_of([]) == {}


def test_no_times_are_no_profile() -> None:
    assert op_times([], Stats(), ["a"]) is None
    assert op_times([Stats([Node("a", "Conv2D", 0)])], Stats(), ["a"]) is None


@dataclass
class Model:
    """What the backend takes of INC's model."""

    graph_def: Any
    input_tensor_names: tuple[str, ...] = ("in",)
    output_tensor_names: tuple[str, ...] = ("probabilities",)


@pytest.fixture(scope="module")
def model() -> Model:
    rng = np.random.default_rng(0)
    graph = tf.Graph()
    with graph.as_default():
        x = _V1.placeholder(tf.float32, (None, 32, 32, 8), "in")
        for n in range(2):
            kernel = tf.constant(rng.normal(size=(3, 3, 8, 8)), tf.float32)
            x = tf.nn.conv2d(x, kernel, 1, "SAME", name=f"conv{n}")
            x = tf.nn.relu6(tf.nn.bias_add(x, tf.ones(8)), name=f"act{n}")
        x = tf.reshape(x, (-1, 32 * 32 * 8))
        x = tf.matmul(x, tf.constant(rng.normal(size=(32 * 32 * 8, 4)), tf.float32), name="fc")
        tf.nn.softmax(x, name="probabilities")
    return Model(graph.as_graph_def())


def test_a_real_session_tells_what_each_op_takes(
    model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    batch = np.ones((16, 32, 32, 8), np.float32)
    times = TensorFlowBackend().op_times(model, batch, ["conv0", "conv1", "fc", "gone"])
    assert times is not None
    assert set(times.seconds) == {"conv0", "conv1", "fc"}
    assert all(seconds > 0 for seconds in times.seconds.values())
    assert sum(times.seconds.values()) <= times.total * (1 + 1e-9)
    # Both convolutions and all that is fused with them are found.
    assert sum(times.seconds.values()) > 0.5 * times.total
    # TensorFlow's C++ has ways of its own to the terminal.
    assert "rofiler" not in capfd.readouterr().err
