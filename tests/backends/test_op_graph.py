"""Op graphs: sizes, edges, and what a search space makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow as tf

from nc_sigopt_strategy.backends import tensorflow as tensorflow_backend
from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend
from nc_sigopt_strategy.backends.op_graph import GraphNode, as_groups, elements, reduce_to_ops
from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend
from nc_sigopt_strategy.space.parameter_graph import parameter_graph
from tests.conftest import CLASSES
from tests.integration.small_onnx import write_small_onnx

V1 = tf.compat.v1


def facts(graph: Any, name: str) -> Any:
    return next(op for op in graph["ops"] if op["name"] == name)


def residual_graph(side: int | None = 8) -> Any:
    """conv -> relu -> depthwise -> add (with relu) -> pool -> reshape -> matmul."""

    def weights(*shape: int) -> Any:
        return V1.constant(np.ones(shape, np.float32))

    graph = tf.Graph()
    with graph.as_default():
        x = V1.placeholder(tf.float32, [None, side, side, 3], name="input")
        first = tf.nn.relu(V1.nn.conv2d(x, weights(3, 3, 3, 4), 1, "SAME", name="conv"))
        second = V1.nn.depthwise_conv2d_native(
            first, weights(3, 3, 4, 1), [1, 2, 2, 1], "SAME", name="depthwise"
        )
        both = second + V1.nn.conv2d(first, weights(1, 1, 4, 4), 2, "SAME", name="shortcut")
        pooled = V1.nn.avg_pool(both, 2, 2, "SAME", name="pool")
        tf.matmul(tf.reshape(pooled, [-1, 16]), weights(16, 10), name="product")
    return SimpleNamespace(graph_def=graph.as_graph_def())


OPS = [
    ("conv", "conv2d"),
    ("depthwise", "conv2d"),
    ("shortcut", "conv2d"),
    ("pool", "pooling"),
    ("product", "matmul"),
]


def test_tensorflow_sizes_are_for_one_input() -> None:
    graph = TensorFlowBackend().op_graph(residual_graph(), OPS)
    conv = facts(graph, "conv")
    assert conv == {
        "name": "conv",
        "op_type": "conv2d",
        "multiply_adds": 8 * 8 * 4 * 27,
        "output_elements": 8 * 8 * 4,
        "weight_elements": 27 * 4,
    }
    depthwise = facts(graph, "depthwise")
    assert depthwise["op_type"] == "depthwise_conv2d"
    assert depthwise["multiply_adds"] == 4 * 4 * 4 * 9
    pool = facts(graph, "pool")
    assert (pool["op_type"], pool["multiply_adds"]) == ("pooling", 2 * 2 * 4 * 4)
    assert pool["weight_elements"] == 0
    product = facts(graph, "product")
    assert (product["op_type"], product["multiply_adds"]) == ("matmul", 160)


def test_tensorflow_edges_lead_through_what_is_not_quantizable() -> None:
    graph = TensorFlowBackend().op_graph(residual_graph(), OPS)
    assert sorted(map(tuple, graph["edges"])) == [
        ("conv", "depthwise", 256.0),
        ("conv", "shortcut", 256.0),
        ("depthwise", "pool", 64.0),
        ("pool", "product", 16.0),
        ("shortcut", "pool", 64.0),
    ]
    assert json.loads(json.dumps(graph)) == graph


def test_unknown_sizes_are_null() -> None:
    graph = TensorFlowBackend().op_graph(residual_graph(side=None), OPS)
    assert facts(graph, "conv")["multiply_adds"] is None
    assert facts(graph, "conv")["weight_elements"] == 108
    assert ["conv", "shortcut", None] in graph["edges"]


def test_shapes_that_cannot_be_inferred_end_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(graph_def: Any) -> Any:
        raise ValueError("no such op")

    monkeypatch.setattr(tensorflow_backend, "static_shapes", fail)
    graph = TensorFlowBackend().op_graph(residual_graph(), [*OPS, ("not there", "MatMul")])
    assert len(graph["edges"]) == 5
    assert {op["output_elements"] for op in graph["ops"]} == {None}
    assert facts(graph, "not there")["op_type"] == "matmul"


def test_onnx_sizes_and_edges(tmp_path: Path) -> None:
    model = SimpleNamespace(model=onnx.load(str(write_small_onnx(tmp_path / "small.onnx"))))
    ops = [("conv0", "Conv"), ("conv1", "Conv"), ("pool", "GlobalAveragePool")]
    graph = OnnxRuntimeBackend().op_graph(model, ops)
    conv = facts(graph, "conv0")
    assert conv["op_type"] == "conv2d"
    assert conv["output_elements"] == 8 * 12 * 12
    assert conv["multiply_adds"] == 8 * 12 * 12 * 27
    assert conv["weight_elements"] == 8 * 27
    assert facts(graph, "pool")["op_type"] == "pooling"
    assert facts(graph, "pool")["multiply_adds"] == CLASSES * 12 * 12
    assert [edge[:2] for edge in graph["edges"]] == [["conv0", "conv1"], ["conv1", "pool"]]


def test_onnx_images_of_any_size_give_nulls(tmp_path: Path) -> None:
    path = write_small_onnx(tmp_path / "small.onnx", "side")
    model = SimpleNamespace(model=onnx.load(str(path)))
    graph = OnnxRuntimeBackend().op_graph(model, [("conv0", "Conv"), ("conv1", "Conv")])
    assert facts(graph, "conv0")["multiply_adds"] is None
    assert graph["edges"] == [["conv0", "conv1", None]]


def test_grouped_convolutions_of_one_channel_are_depthwise() -> None:
    helper = onnx.helper
    float_type = onnx.TensorProto.FLOAT
    weights = onnx.numpy_helper.from_array(np.ones((6, 1, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], "conv", group=6)],
        "g",
        [helper.make_tensor_value_info("x", float_type, ["n", 6, 5, 5])],
        [helper.make_tensor_value_info("y", float_type, ["n", 6, 3, 3])],
        [weights],
    )
    model = SimpleNamespace(model=helper.make_model(graph))
    found = facts(OnnxRuntimeBackend().op_graph(model, [("conv", "Conv")]), "conv")
    assert (found["op_type"], found["multiply_adds"]) == ("depthwise_conv2d", 6 * 9 * 9)


def chain(*names: str) -> list[GraphNode]:
    tensors = ["start", *names]
    return [
        GraphNode(name, "conv2d", (source,), (name,), 2.0, 3.0)
        for source, name in zip(tensors, names, strict=False)
    ]


def test_walking_stops_at_quantizable_ops() -> None:
    nodes = chain("a", "relu", "b", "c")
    ops = [(name, "conv2d") for name in ("a", "b", "c")]
    graph = reduce_to_ops(nodes, {"a": (None, 5), "b": (None, None)}, ops)
    assert graph["edges"] == [["a", "b", 5.0], ["b", "c", None]]


@pytest.mark.parametrize(
    ("shape", "count"),
    [((None, 2, 3), 6.0), ((4, 2), 8.0), ((), 1.0), ((None, None), None), (None, None)],
)
def test_elements(shape: Any, count: float | None) -> None:
    assert elements(shape) == count


def op(name: str, size: float | None = 1.0) -> dict[str, Any]:
    sizes = dict.fromkeys(("multiply_adds", "output_elements", "weight_elements"), size)
    return {"name": name, "op_type": "conv2d", **sizes}


def test_ops_are_folded_into_parameters() -> None:
    graph = {
        "ops": [op("a"), op("b", 2.0), op("fixed"), op("c", None)],
        "edges": [
            ["a", "b", 7.0],
            ["a", "fixed", 7.0],
            ["fixed", "c", 7.0],
            ["a", "c", 3.0],
            ["b", "c", 4.0],
        ],
    }
    parameters = {"first": [("a", ""), ("b", "")], "last": [("c", "")], "size": []}
    folded = parameter_graph(graph, parameters)
    assert [p["name"] for p in folded["parameters"]] == ["first", "last", "size"]
    assert [p["multiply_adds"] for p in folded["parameters"]] == [3.0, None, 0.0]
    assert folded["parameters"][2]["op_type"] is None
    assert folded["edges"] == [["first", "last", 7.0]]


def test_groups_have_the_size_of_their_main_op_and_the_edges_of_all() -> None:
    ops = [{"name": name, "op_type": "conv2d", "multiply_adds": 1.0} for name in "abcd"]
    # b and d are part of a and c; d also reads a, through b.
    edges = [["a", "b", 4.0], ["b", "c", 4.0], ["b", "d", 4.0], ["c", "d", 8.0]]
    groups = {"a": "a", "b": "a", "c": "c", "d": "c"}
    folded = as_groups({"ops": ops, "edges": edges}, groups)
    assert folded == {"ops": [ops[0], ops[2]], "edges": [["a", "c", 4.0]]}
