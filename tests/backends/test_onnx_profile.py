"""Profiles of ONNX models: which op the time of a node is, in float, in int8 and mixed."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nc_sigopt_strategy.backends.onnx_model import OnnxModel
from nc_sigopt_strategy.backends.onnx_profile import op_times
from nc_sigopt_strategy.backends.onnx_ran_as import stem
from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend
from nc_sigopt_strategy.backends.op_times import OpNames
from nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host import OnnxRuntimeHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.onnxruntime.models import Net, image_net, images, mobile_net, sentence_net

SIDE = 32


@pytest.fixture(scope="module")
def host() -> OnnxRuntimeHost:
    return OnnxRuntimeHost(image_net(mobile_net(width=32, blocks=2, side=SIDE), SIDE), Settings())


def chosen(host: OnnxRuntimeHost, label: str | None, every: int = 1) -> Any:
    """Ops in one label, every so many of them; the others, or all with ``None``, in int8."""
    labels = {
        op.key: op.default if label is None or n % every else label
        for n, op in enumerate(host.ops())
    }
    return host.quantize(Choices(labels, host.sampling_sizes()[0]))


def net(*widths: int) -> Any:
    """A chain of 3x3 convolutions of these widths, named after them."""
    made, x, before = Net(), "images", 3
    for n, width in enumerate(widths):
        weights = made.drawn(width, before, 3, 3)
        x = made.node("Conv", [x, weights], f"conv{n}", pads=[1] * 4)
        x, before = made.node("Relu", [x]), width
    x = made.node("Flatten", [made.node("GlobalAveragePool", [x])])
    return made.model({"images": ("N", 3, SIDE, SIDE)}, [x])


@pytest.mark.parametrize("kind", ["float", "int8", "mixed"])
def test_a_real_session_tells_what_each_op_takes(host: OnnxRuntimeHost, kind: str) -> None:
    every = {"float": ("fp32", 1), "int8": (None, 1), "mixed": ("fp32", 2)}
    model = chosen(host, *every[kind])
    names = [op.name for op in host.ops()]
    times = host.backend.op_times(model, images(8, SIDE), names)
    assert times is not None
    assert set(times.seconds) == set(names)
    assert all(seconds > 0 for seconds in times.seconds.values())
    told = sum(times.seconds.values()) / times.total
    # Conversions are nobody's: there is none in float, and there are many where types change.
    assert (0.95 if kind == "float" else 0.2) < told <= 1.0 + 1e-9


def test_the_op_with_most_multiply_adds_takes_most() -> None:
    times = OnnxRuntimeBackend().op_times(
        OnnxModel(net(8, 64, 8)), images(8, SIDE), ["conv0", "conv1", "conv2"]
    )
    assert times is not None
    # 1, 21 and 21 times as many, and the narrow one of the last two writes an eighth.
    assert times.seconds["conv1"] > times.seconds["conv0"]
    assert times.seconds["conv2"] > times.seconds["conv0"]


def test_ops_of_a_transformer_are_found_though_what_follows_is_fused() -> None:
    host = OnnxRuntimeHost(sentence_net(), Settings())
    names = [op.name for op in host.ops()]
    for model in (host.fp32, chosen(host, "fp32"), chosen(host, None)):
        times = host.backend.op_times(model, {"ids": np.zeros((8, 9), np.int64)}, names)
        assert times is not None
        assert set(times.seconds) == set(names)


def test_a_model_without_names_has_no_profile(caplog: pytest.LogCaptureFixture) -> None:
    model = net(8, 8)
    for node in model.graph.node:
        node.name = ""
    with caplog.at_level(logging.DEBUG, "nc_sigopt_strategy"):
        assert OnnxRuntimeBackend().op_times(OnnxModel(model), images(2, SIDE), ["conv0"]) is None
    assert "it has 0 of 1 ops by name" in caplog.text


def test_nothing_is_left_on_disk_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    backend, model = OnnxRuntimeBackend(), OnnxModel(net(8))
    assert backend.op_times(model, images(2, SIDE), ["conv0"]) is not None
    with pytest.raises(Exception, match=r"(?i)rank|shape|dimension|invalid"):
        backend.op_times(model, np.zeros((1, 2), np.float32), ["conv0"])
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err.count("[W:") == 0


def test_the_options_of_the_session_hold_in_its_profile() -> None:
    kept = OnnxRuntimeBackend({"graph_optimization_level": "disable"})
    names = ["conv0", "relu1"]
    times = kept.op_times(OnnxModel(net(8)), images(2, SIDE), names)
    assert times is not None
    assert set(times.seconds) == set(names), "nothing was fused"


def kernel(name: str, kind: str, begun: int, took: int) -> dict[str, Any]:
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "ts": begun,
        "dur": took,
        "args": {"op_name": kind},
    }


def run(begun: int, took: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": begun, "dur": took, "args": {}}


def told(*nodes: tuple[str, str, int], ops: tuple[str, ...] = ("conv0", "conv1")) -> Any:
    """Microseconds of ops, of one run after the first; all nodes as the session left them."""
    model = net(8, 8)
    optimized = onnx.ModelProto()
    for name, kind, _ in nodes:
        optimized.graph.node.add(name=name, op_type=kind, input=["?"], output=[f"out of {name}"])
    events = [run(0, 10), run(100, 1000)]
    events += [kernel(name, kind, 110, took) for name, kind, took in nodes]
    times = op_times(events, optimized, model, OpNames(ops, stem=stem))
    return times and {name: round(1e6 * took) for name, took in times.seconds.items()}


def test_layouts_are_nobodys() -> None:
    found = told(
        ("Transpose_token_3", "Transpose", 60),
        ("conv0_token_1", "QLinearConv", 10),
        ("ReorderInput", "ReorderInput", 70),
        ("relu3:0_nchwc", "Conv", 20),
    )
    assert found == {"conv0": 10, "conv1": 20}


def test_conversions_down_are_the_next_op_s_and_up_the_last_one_s() -> None:
    optimized = onnx.ModelProto()
    nodes = [
        ("q0", "QuantizeLinear", 50, "images", "a"),
        ("conv0", "QLinearConv", 10, "a", "b"),
        ("dq0", "DequantizeLinear", 60, "b", "c"),
        ("half", "Cast", 70, "c", "d"),
        ("conv1", "Conv", 20, "d", "e"),
        ("back", "Cast", 80, "e", "f"),
    ]
    for name, kind, _, reads, makes in nodes:
        optimized.graph.node.add(name=name, op_type=kind, input=[reads], output=[makes])
    for position, to in ((3, onnx.TensorProto.BFLOAT16), (5, onnx.TensorProto.FLOAT)):
        optimized.graph.node[position].attribute.add(name="to", i=to)
    events = [run(0, 10), run(100, 1000)]
    events += [kernel(name, kind, 110, took) for name, kind, took, _, _ in nodes]
    times = op_times(events, optimized, net(8, 8), OpNames(["conv0", "conv1"], stem=stem))
    assert times is not None
    seconds = {name: round(1e6 * took) for name, took in times.seconds.items()}
    assert seconds == {"conv0": 120, "conv1": 170}


def test_too_much_time_without_a_name_is_no_profile() -> None:
    assert told(("conv0", "Conv", 10), ("conv1", "Conv", 10), ("fused", "Attention", 4))
    assert told(("conv0", "Conv", 10), ("conv1", "Conv", 10), ("fused", "Attention", 6)) is None


def test_too_few_ops_by_name_are_no_profile() -> None:
    nodes = ("conv0", "Conv", 10), ("conv1", "Conv", 10)
    assert told(*nodes, ops=("conv0", "conv1", "gone")) is None


def test_nodes_of_a_loop_are_counted_once() -> None:
    assert told(("conv0", "Conv", 10), ("conv1", "Conv", 10), ("relu1", "Loop", 900)) == {
        "conv0": 10,
        "conv1": 10,
    }


def test_a_profile_without_runs_is_none() -> None:
    assert op_times([], onnx.ModelProto(), net(8), OpNames(["conv0"])) is None
