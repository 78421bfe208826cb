"""Hard sigmoids are sums and products in int8, and themselves again where they are float."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from nc_sigopt_strategy.hosts.onnxruntime.int8_forms import (
    hard_sigmoids_as_sums,
    join_float_hard_sigmoids,
)
from nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host import OnnxRuntimeHost
from nc_sigopt_strategy.hosts.onnxruntime.prepared import name_nodes
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.onnxruntime.models import Net, hard_sigmoid_net, image_net, images


def outputs(model: Any) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"images": images(8)})[0]


def kinds(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_a_hard_sigmoid_and_what_it_is_written_out_as_compute_the_same() -> None:
    model = hard_sigmoid_net()
    name_nodes(model)
    before = outputs(model)
    assert hard_sigmoids_as_sums(model) == ["swish", "gate"]
    onnx.checker.check_model(model)
    np.testing.assert_allclose(outputs(model), before, rtol=1e-4, atol=1e-5)
    assert not kinds(model)["HardSigmoid"]
    join_float_hard_sigmoids(model, [])
    onnx.checker.check_model(model)
    np.testing.assert_allclose(outputs(model), before, rtol=1e-4, atol=1e-5)
    assert kinds(model) == kinds(hard_sigmoid_net())
    assert len(model.graph.initializer) == len(hard_sigmoid_net().graph.initializer)


def test_only_those_are_joined_of_which_no_part_is_quantized() -> None:
    model = hard_sigmoid_net()
    name_nodes(model)
    hard_sigmoids_as_sums(model)
    join_float_hard_sigmoids(model, ["swish/hard_sigmoid/sum"])
    assert [n.name for n in model.graph.node if n.op_type == "HardSigmoid"] == ["gate/float"]


def test_what_is_not_behind_a_convolution_stays() -> None:
    net = Net()
    x = net.node("HardSigmoid", [net.linear("x", 8, 8)], "gate")
    model = net.model({"x": ("N", 8)}, [x])
    name_nodes(model)
    assert hard_sigmoids_as_sums(model) == []


def test_a_falling_one_stays() -> None:
    net = Net()
    x = net.node("HardSigmoid", [net.conv("x", 8, 8)], "falling", alpha=-0.2)
    model = net.model({"x": ("N", 8, 6, 6)}, [x])
    name_nodes(model)
    assert hard_sigmoids_as_sums(model) == []


@pytest.mark.parametrize(("label", "left"), [("int8", 0), ("fp32", 2)])
def test_the_host_runs_them_in_int8_with_their_convolutions(label: str, left: int) -> None:
    host = OnnxRuntimeHost(image_net(hard_sigmoid_net()), Settings())
    made = host.quantize(Choices({op.key: label for op in host.ops()}, 32)).model
    assert kinds(made)["HardSigmoid"] == left
    if label == "fp32":
        np.testing.assert_allclose(outputs(made), outputs(host.fp32.model), rtol=1e-4, atol=1e-5)
