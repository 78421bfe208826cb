"""Parameters follow what ONNX Runtime fuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.group_graph import group_graph
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Grouping, group_nodes
from nc_sigopt_strategy.hosts.onnxruntime.plan import plan_for
from nc_sigopt_strategy.hosts.onnxruntime.prepared import prepare
from nc_sigopt_strategy.hosts.onnxruntime.tensors import float_tensors, measured_shapes
from tests.hosts.onnxruntime.models import Net, hard_swish_net, mobile_net, transformer


def grouped(model: Any) -> tuple[GraphView, Grouping]:
    prepared = prepare(model).model
    view = GraphView(prepared, float_tensors(prepared))
    return view, group_nodes(view)


def kinds(view: GraphView, names: Any) -> list[str]:
    return [view.nodes[name].op_type for name in names]


def test_a_convolution_its_clip_and_the_sum_that_ends_its_branch_are_one() -> None:
    view, grouping = grouped(mobile_net(blocks=2))
    assert [kinds(view, group.quantized) for group in grouping.groups] == [
        ["Conv", "Clip"],
        *2 * [["Conv", "Clip"], ["Conv", "Clip"], ["Conv", "Add"]],
        ["Gemm"],
    ]
    assert set(kinds(view, grouping.followers)) == {"GlobalAveragePool", "Flatten"}


def test_edges_are_where_a_change_of_type_converts() -> None:
    view, grouping = grouped(mobile_net(blocks=2))
    names = [group.key[0] for group in grouping.groups]
    shapes = measured_shapes(view.model, view.floats, None, 1)
    graph = group_graph(view, grouping, shapes, [group.key for group in grouping.groups])
    edges = {(names.index(a), names.index(b)) for a, b, _ in graph["edges"]}
    chain = {(i, i + 1) for i in range(7)}
    assert edges == chain | {(0, 3), (3, 6)}, "a residual connection is an edge too"
    assert graph["ops"][0]["multiply_adds"] == 12 * 12 * 16 * 27
    assert graph["ops"][2]["op_type"] == "depthwise_conv2d"


def test_products_of_a_transformer() -> None:
    view, grouping = grouped(transformer())
    mains = [kinds(view, group.mains) for group in grouping.groups]
    assert len(mains) == 9, "four around attention, two in it, two behind it, and the head"
    assert [len(group.weights) for group in grouping.groups].count(0) == 2
    assert all(
        set(kinds(view, group.quantized)) <= {"MatMul", "Gemm"} for group in grouping.groups
    )
    shapes = measured_shapes(view.model, view.floats, None, 1)
    graph = group_graph(view, grouping, shapes, [group.key for group in grouping.groups])
    assert graph["edges"] == [], "what a product gives is float in any case"


def gated(kind: str) -> Any:
    """Squeeze and excitation: the gate's branch ends in the product."""
    net = Net()
    x = net.node("Relu", [net.conv("x", 8, 8)], "trunk")
    gate = net.node("GlobalAveragePool", [x])
    gate = net.node(kind, [net.conv(net.node("Relu", [net.conv(gate, 8, 2)]), 2, 8)], "gate")
    return net.model({"x": ("N", 8, 6, 6)}, [net.conv(net.node("Mul", [x, gate]), 8, 8)])


@pytest.mark.parametrize(
    ("kind", "written"),
    [("Sigmoid", ["Sigmoid"]), ("HardSigmoid", ["Add", "Clip", "Mul"]), ("Tanh", ["Tanh"])],
)
def test_a_gate_belongs_to_the_branch_that_makes_it(kind: str, written: list[str]) -> None:
    view, grouping = grouped(gated(kind))
    assert [kinds(view, group.nodes) for group in grouping.groups] == [
        ["Conv", "Relu"], ["Conv", "Relu"], ["Conv", *written, "Mul"], ["Conv"],
    ]  # fmt: skip
    third = grouping.groups[2]
    assert (written[0] in kinds(view, third.quantized)) == (kind != "Tanh")


def test_swish_belongs_to_its_convolution() -> None:
    net = Net()
    x = net.conv("x", 8, 8)
    x = net.node("Mul", [x, net.node("Sigmoid", [x])])
    view, grouping = grouped(net.model({"x": ("N", 8, 6, 6)}, [net.conv(x, 8, 8)]))
    assert [kinds(view, group.quantized) for group in grouping.groups] == [
        ["Conv", "Sigmoid", "Mul"], ["Conv"],
    ]  # fmt: skip


def test_followers_run_in_int8_where_all_that_they_read_is() -> None:
    net = Net()
    a, b = (net.node("Relu", [net.conv("x", 8, 4, name=name)]) for name in "ab")
    both = net.node("Concat", [net.node("MaxPool", [a], kernel_shape=[1, 1]), b], "both", axis=1)
    y = net.conv(both, 8, 8, name="c")
    view, grouping = grouped(net.model({"x": ("N", 8, 6, 6)}, [y]))
    keys = {group.key[0]: group.key for group in grouping.groups}
    for labels, wanted in (
        ({"a": "int8", "b": "int8"}, {"Conv", "Relu", "MaxPool", "Concat"}),
        ({"a": "int8", "b": "fp32"}, {"Conv", "Relu", "MaxPool"}),
        ({"a": "fp32", "b": "int8"}, {"Conv", "Relu"}),
        ({"c": "int8"}, {"Conv"}),
        ({}, set()),
    ):
        plan = plan_for(view, grouping, {keys[name]: label for name, label in labels.items()})
        assert set(kinds(view, plan.nodes)) == wanted


def test_a_range_is_found_as_its_maker_says_or_its_first_reader() -> None:
    view, grouping = grouped(mobile_net(blocks=1))
    first, second, *rest = (group.key for group in grouping.groups)
    labels = {first: "int8-mse", second: "int8-entropy", **dict.fromkeys(rest, "fp32")}
    plan = plan_for(view, grouping, labels)
    between = view.nodes[second[0]].input[0]
    assert plan.methods[between] == "mse"
    assert plan.methods["images"] == "mse"
    plan = plan_for(view, grouping, {**labels, first: "fp32"})
    assert plan.methods[between] == "entropy"
    assert between not in plan.int8


def test_limits_of_a_clip_that_exclude_zero_are_no_part_of_a_range() -> None:
    net = Net()
    ends = [net.constant(np.float32(1)), net.constant(np.float32(6))]
    x = net.node("Clip", [net.conv("x", 8, 8), *ends])
    view, grouping = grouped(net.model({"x": ("N", 8, 6, 6)}, [net.conv(x, 8, 8)]))
    assert kinds(view, grouping.groups[0].nodes) == ["Conv", "Clip"]
    assert kinds(view, grouping.groups[0].quantized) == ["Conv"]


def test_nodes_get_names_of_their_own() -> None:
    model = mobile_net()
    for node in model.graph.node:
        node.name = "" if node.op_type == "Clip" else "same"
    prepared = prepare(model)
    names = [node.name for node in prepared.model.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)
    assert prepared.steps["names"]


def test_a_hard_swish_runs_in_int8_with_its_convolution() -> None:
    view, grouping = grouped(hard_swish_net())
    assert [sorted(kinds(view, group.quantized)) for group in grouping.groups] == [
        *2 * [["Add", "Clip", "Conv", "Mul", "Mul"]], ["Conv"],
    ]  # fmt: skip


def test_divisions_elsewhere_stay() -> None:
    view, _ = grouped(transformer())
    assert "Div" in kinds(view, view.nodes), "a GELU is known by its division"
