"""Profiles of OpenVINO models: which op the time of a node is, in float, bf16 and int8."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("nncf")

from nc_sigopt_strategy.backends.op_times import OpNames
from nc_sigopt_strategy.backends.openvino import OpenVinoBackend, OpenVinoModel
from nc_sigopt_strategy.backends.openvino_profile import op_times
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.openvino.openvino_host import OpenVinoHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.openvino.small_models import Net, attention, images, residual, sequences


def host_of(model: Any, data: Any) -> OpenVinoHost:
    return OpenVinoHost(
        Given(model, data, lambda _: 1.0, Criterion(0.9), sampling_sizes=(8,)), Settings()
    )


@pytest.fixture(scope="module")
def host() -> OpenVinoHost:
    return host_of(residual(), images())


def uniform(host: OpenVinoHost, position: int) -> Any:
    """Every op in its label at a position: the first is int8, the last the most precise."""
    labels = {op.key: op.labels[position] for op in host.ops()}
    return host.quantize(Choices(labels, host.sampling_sizes()[0]))


def chain(*widths: int) -> OpenVinoModel:
    """Convolutions of these widths, named after them."""
    net = Net()
    given = made = net.input(-1, 3, 32, 32)
    for n, width in enumerate(widths):
        made = net.conv(made, width, f"conv{n}")
    return OpenVinoModel(net.model(net.pooled(made), given), "f32")


BATCH = np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("position", [0, -1])
def test_a_real_model_tells_what_each_op_takes(host: OpenVinoHost, position: int) -> None:
    names = [op.name for op in host.ops()]
    times = host.backend.op_times(uniform(host, position), images().arrays[0], names)
    assert times is not None
    assert set(times.seconds) == set(names)
    assert 0 < sum(times.seconds.values()) <= times.total * (1 + 1e-9)


def test_the_op_with_most_multiply_adds_takes_most() -> None:
    names = ["conv0", "conv1", "conv2"]
    times = OpenVinoBackend().op_times(chain(8, 64, 8), BATCH, names)
    assert times is not None
    # 21 times as many as the first.
    assert min(times.seconds[name] for name in names[1:]) > times.seconds["conv0"]
    assert sum(times.seconds.values()) > 0.5 * times.total


def test_parts_of_an_op_that_stand_beside_it_are_its_own() -> None:
    """Query, key and value are chosen together; the key's product reads no op."""
    host = host_of(attention(), sequences())
    names = [op.name for op in host.ops()]
    assert "query" in names
    for model in (host.fp32, uniform(host, -1), uniform(host, 0)):
        assert {model.parts[name] for name in ("query", "key", "value")} == {"query"}
        times = host.backend.op_times(model, sequences().arrays[0], names)
        assert times is not None
        assert {"query", "out", "logits"} <= set(times.seconds)
    convolutions = [(Ran(f"conv{n}"), 10 + n) for n in range(3)]
    assert told(*convolutions, parts={"conv2": "conv0"}) == {"conv0": 22, "conv1": 11}


def test_a_model_without_the_ops_by_name_has_no_profile(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "nc_sigopt_strategy"):
        times = OpenVinoBackend().op_times(chain(8), BATCH, ["conv0", "gone", "lost"])
    assert times is None
    assert "it has 1 of 3 ops by name" in caplog.text


def test_the_model_that_runs_is_another_and_nothing_is_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    backend, model = OpenVinoBackend(), chain(8)
    before = model.compiled(backend.properties)
    assert backend.op_times(model, BATCH, ["conv0"]) is not None
    assert model.compiled(backend.properties) is before
    assert before.get_property("PERF_COUNT") in (False, "NO")
    assert list(tmp_path.iterdir()) == []


class Info:
    """A value of a node's notes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def astype(self, _: type) -> str:
        return self.text


class Ran:
    """A node of the device's graph."""

    def __init__(self, name: str, kind: str = "Convolution", made_from: str = "") -> None:
        self.name = name
        self.notes = {"layerType": Info(kind), "originalLayersNames": Info(made_from)}

    def get_friendly_name(self) -> str:
        return self.name

    def get_rt_info(self) -> dict[str, Info]:
        return self.notes


def told(*nodes: tuple[Ran, int], parts: Mapping[str, str] | None = None) -> Any:
    """Microseconds of three convolutions, one after the other; ``None`` without a profile."""

    class Runtime:
        @staticmethod
        def get_ordered_ops() -> list[Ran]:
            return [node for node, _ in nodes]

    runs = [{node.name: 1e-6 * took for node, took in nodes}]
    asked = [f"conv{n}" for n in range(3) if f"conv{n}" not in (parts or {})]
    names = OpNames(asked, parts or {})
    times = op_times(runs, Runtime, chain(4, 4, 4).model, names)
    return times and {name: round(1e6 * took) for name, took in times.seconds.items()}


def test_a_fused_node_is_the_ops_that_it_was_made_from() -> None:
    assert told(
        (Ran("x_abcd_acdb", "Reorder"), 90),
        (Ran("made up", made_from="conv0,Multiply_7,conv0/bias"), 10),
        (Ran("conv1/relu", "Eltwise"), 20),
        (Ran("pool", "Reduce"), 5),
    ) == {"conv0": 10, "conv1": 20, "conv2": 5}


def test_a_part_that_another_op_computes_is_that_ones() -> None:
    fused = Ran("conv1", made_from="conv1,conv2")
    assert told((Ran("conv0"), 10), (fused, 20), parts={"conv2": "conv0"}) == {
        "conv0": 10,
        "conv1": 20,
    }


def test_ops_that_ran_as_one_are_not_told_apart() -> None:
    assert told((Ran("both", made_from="conv0,conv1"), 10), (Ran("conv2"), 10)) == {"conv2": 10}


def test_too_much_time_without_a_name_is_no_profile() -> None:
    convolutions = [(Ran(f"conv{n}"), 10) for n in range(3)]
    assert told(*convolutions, (Ran("strange"), 7)) is not None
    assert told(*convolutions, (Ran("strange"), 8)) is None
