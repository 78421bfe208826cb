"""Which ops of an ONNX model follow which: the patterns that exporters write."""

from __future__ import annotations

from typing import Any

import pytest

onnx = pytest.importorskip("onnx")

from nc_sigopt_strategy.backends.onnx_fused import fused_into  # noqa: E402
from nc_sigopt_strategy.backends.onnx_graph import integer_ops, known_shapes  # noqa: E402

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def model(*lines: str, constants: tuple[str, ...] = ("w", "b"), outputs: str = "y") -> Any:
    """A model of lines ``output = Type(input, input)``; nodes are called like their outputs."""
    nodes = []
    for line in lines:
        written, call = (part.strip() for part in line.split("=", 1))
        kind, read = call.rstrip(")").split("(")
        inputs = [name.strip() for name in read.split(",") if name.strip()]
        outs = [name.strip() for name in written.split(",")]
        nodes.append(onnx.helper.make_node(kind, inputs, outs, outs[0]))
    info = onnx.helper.make_tensor_value_info
    values = [onnx.helper.make_tensor(name, FLOAT, [2, 2, 1, 1], [1.0] * 4) for name in constants]
    graph = onnx.helper.make_graph(
        nodes, "g", [info("x", FLOAT, ["n", 2, "h", "w_"])], [info(outputs, FLOAT, None)], values
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])


def followers(made: Any, *left_out: str) -> dict[str, str]:
    ops = [(n.name, n.op_type) for n in made.graph.node if n.op_type not in left_out]
    found = fused_into(made.graph, known_shapes(made), ops)
    return {follower[0]: leader[0] for follower, leader in found.items()}


def test_an_activation_is_part_of_its_convolution() -> None:
    made = model("c = Conv(x, w)", "r = Relu(c)", "d = Conv(r, w)", "y = Clip(d)")
    assert followers(made) == {"r": "c", "y": "d"}


def test_a_bias_is_part_of_its_product() -> None:
    assert followers(model("m = MatMul(x, w)", "y = Add(b, m)")) == {"y": "m"}


def test_a_hard_swish_in_pieces_is_part_of_its_convolution() -> None:
    made = model(
        "c = Conv(x, w)", "three = Add(c, b)", "six = Clip(three)", "p = Mul(c, six)",
        "y = Div(p, b)",
    )  # fmt: skip
    assert followers(made) == {"three": "c", "six": "c", "p": "c", "y": "c"}


def test_it_is_found_behind_pieces_that_have_no_choice() -> None:
    made = model("c = Conv(x, w)", "e = Erf(c)", "one = Add(e, b)", "y = Mul(c, one)")
    assert followers(made, "Erf") == {"one": "c", "y": "c"}


def test_what_reads_two_tensors_is_not_looked_through() -> None:
    made = model("c = Conv(x, w)", "d = Conv(x, w)", "s = Sub(c, d)", "y = Mul(s, b)")
    assert followers(made, "Sub") == {}


def test_a_residual_sum_follows_the_later_of_its_producers() -> None:
    made = model("c = Conv(x, w)", "d = Conv(c, w)", "s = Add(c, d)", "y = Relu(s)")
    assert followers(made) == {"s": "d", "y": "d"}
    made = model("c = Conv(x, w)", "d = Conv(c, w)", "y = Add(d, c)")
    assert followers(made) == {"y": "d"}


def test_a_gate_follows_the_image_that_it_scales() -> None:
    made = model(
        "c = Conv(x, w)", "g = GlobalAveragePool(c)", "s = Conv(g, w)", "h = HardSigmoid(s)",
        "y = Mul(c, h)",
    )  # fmt: skip
    assert followers(made, "HardSigmoid") == {"y": "c"}
    assert followers(made) == {"h": "s", "y": "c"}


def test_what_only_moves_follows_and_not_what_says_where_to() -> None:
    made = model(
        "c = Conv(x, w)", "p = MaxPool(c)", "shape = Shape(x)", "t = Transpose(p)",
        "y = Reshape(t, shape)",
    )  # fmt: skip
    assert followers(made, "Shape") == {"p": "c", "t": "c", "y": "c"}


def test_an_op_without_a_producer_stands_for_itself() -> None:
    made = model("s = Mul(x, b)", "t = Add(s, b)", "c = Conv(t, w)", "y = AveragePool(c)")
    assert followers(made) == {"t": "s"}


def test_weights_written_by_constant_nodes_are_no_producers() -> None:
    made = model("c = Conv(x, w)", "y = Add(c, k)")
    value = onnx.helper.make_tensor("v", FLOAT, [2, 1, 1], [1.0, 2.0])
    made.graph.node.insert(1, onnx.helper.make_node("Constant", [], ["k"], "k", value=value))
    assert followers(made, "Constant") == {"y": "c"}


def test_one_that_may_not_follow_stands_for_itself_and_leads() -> None:
    made = model("c = Conv(x, w)", "r = Relu(c)", "y = MaxPool(r)")
    ops = [(n.name, n.op_type) for n in made.graph.node]
    found = fused_into(made.graph, {}, ops, lambda follower, leader: follower[1] != "Relu")
    assert found == {("y", "MaxPool"): ("r", "Relu")}


def test_ops_on_shapes_are_told_from_ops_on_numbers() -> None:
    made = model("s = Shape(x)", "u = Unsqueeze(s, axes)", "c = Conv(x, w)", "y = Reshape(c, s)")
    made.graph.initializer.append(onnx.helper.make_tensor("axes", INT64, [1], [0]))
    assert integer_ops(made) == {"s", "u"}
