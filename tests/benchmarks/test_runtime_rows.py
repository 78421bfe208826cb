"""Rows of a comparison across runtimes: timed, put into sentences, drawn, stored."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from nc_sigopt_benchmarks.judging.runtime_rows import RuntimeRow
from nc_sigopt_benchmarks.judging.runtime_timing import RuntimeSamples, time_served
from nc_sigopt_benchmarks.judging.runtime_verdicts import runtime_verdicts
from nc_sigopt_benchmarks.reporting import html, plots
from nc_sigopt_benchmarks.reporting.runtime_table import runtime_table
from nc_sigopt_benchmarks.reporting.tables import comparison_tables
from nc_sigopt_strategy.errors import ModelError
from tests.benchmarks.many_strategies import many_strategies

REFERENCE = "tensorflow_fp32"


def samples(size: int, **milliseconds: float) -> RuntimeSamples:
    """Ten rounds in which the machine gets slower and slower; ratios stay."""
    drift = [1 + place / 7 for place in range(10)]
    wobble = [1, 1.01, 0.99, 1, 1.02, 0.98, 1, 1.01, 0.99, 1]
    wall = {
        name: [ms / 1e3 * d * (wobble[(p + len(name)) % 10]) for p, d in enumerate(drift)]
        for name, ms in milliseconds.items()
    }
    cpu = {name: [1.5 * value for value in values] for name, values in wall.items()}
    return RuntimeSamples(size, wall, cpu)


def row(label: str, runtime: str, accuracy: float | None, **more: Any) -> RuntimeRow:
    met = None if accuracy is None else accuracy >= 0.92
    values: dict[str, Any] = {"accuracy": accuracy, "meets_bound": met, "seconds": 12.0, **more}
    return RuntimeRow(label, label, runtime, **values)


SAMPLES = [
    samples(20, tensorflow_fp32=100, ours=30, openvino_bf16=45, nncf=20, sigopt_tf=50),
    samples(1, tensorflow_fp32=10, ours=2.5, openvino_bf16=2.5, nncf=2, sigopt_tf=9),
]
ROWS = tuple(
    dataclasses.replace(
        one, timings=tuple(t for s in SAMPLES if (t := s.timing(one.label, REFERENCE)))
    )
    for one in (
        row(REFERENCE, "tensorflow", 0.93, fp32=True, what="FP32"),
        row("sigopt_tf", "tensorflow", 0.925, ours=True),
        row("openvino_bf16", "openvino", 0.925, precision="bf16"),
        row("nncf", "openvino", 0.9025),
        row("ours", "openvino", 0.9275, ours=True, precision="bf16"),
        row("missing", "onnxruntime", None, remarks=("not installed: pip install onnxruntime",)),
    )
)


@pytest.fixture
def comparison() -> Comparison:
    whole = many_strategies()
    return dataclasses.replace(whole, runtimes=ROWS, model="mobilenet_v1")


def test_speeds_are_relative_to_the_reference_of_the_same_round() -> None:
    by_label = {one.label: one for one in ROWS}
    timing = by_label["ours"].timing(20)
    assert timing is not None
    assert timing.wall.speedup.value == pytest.approx(100 / 30, rel=0.02)
    assert timing.wall.speedup.low < 100 / 30 < timing.wall.speedup.high
    assert timing.cpu.latency_seconds.value == pytest.approx(
        1.5 * timing.wall.latency_seconds.value
    )
    reference = by_label[REFERENCE].timing(1)
    assert reference is not None
    assert reference.wall.speedup.low == reference.wall.speedup.high == 1.0
    assert by_label["missing"].timings == ()


def test_sentences_name_the_runtime_and_the_best_rival() -> None:
    take, *beside, missed = runtime_verdicts(ROWS, SAMPLES, REFERENCE)
    assert take.startswith("Take OpenVINO: at batch 20 ours (3.3")
    assert "at batch 1" in take
    assert "cannot be told from it" in take.split("at batch 1 ")[1]
    assert "nncf" not in take
    (tensorflow,) = [s for s in beside if s.startswith("sigopt_tf beside")]
    assert "TensorFlow's own" in tensorflow
    (openvino,) = [s for s in beside if s.startswith("ours beside")]
    assert "1.5" in openvino.split("at batch 1")[0]
    assert "openvino_bf16" in openvino
    assert missed == "The bound is missed by nncf (0.9025)."


def test_two_runtimes_are_both_named() -> None:
    at_one = samples(1, tensorflow_fp32=10, sigopt_tf=2, ours=3)
    take = runtime_verdicts(ROWS, [SAMPLES[0], at_one], REFERENCE)[0]
    assert "at batch 20 OpenVINO with ours" in take
    assert "at batch 1 TensorFlow with sigopt_tf" in take


def test_nothing_to_take() -> None:
    said = runtime_verdicts([row("nncf", "openvino", 0.9)], [samples(1, nncf=3)], "nncf")
    assert said[0].startswith("No model that meets the bound was timed")


def test_the_table_has_every_row(comparison: Comparison) -> None:
    table = runtime_table(comparison).without_empty_columns()
    assert list(table.columns) == [
        *("model", "runtime", "accuracy", "met?", "seconds"),
        *("speed b20", "speed b1", "CPU b20", "CPU b1"),
    ]
    cells = {r.cells[0]: r for r in table.rows}
    assert list(cells) == [one.label for one in ROWS]
    assert cells["ours"].cells[1] == "OpenVINO bf16"
    assert cells["ours"].good is True
    assert cells["nncf"].good is False
    assert cells["missing"].remark == "not installed: pip install onnxruntime"
    assert set(cells["missing"].cells[5:]) == {"–"}
    assert REFERENCE in table.columns["speed b20"]


def test_it_is_drawn_and_stored(comparison: Comparison, tmp_path: Path) -> None:
    again = comparison_from_json(json.loads(json.dumps(comparison.to_json())))
    assert again.runtimes == comparison.runtimes
    console = Console(width=100, record=True)
    for table in comparison_tables(again):
        console.print(table)
    said = console.export_text()
    assert "not installed: pip install onnxruntime" in " ".join(said.split())
    images = plots.draw_all(again, tmp_path)
    assert {"accuracy_vs_speed_b20.png", "accuracy_vs_speed_b1.png"} <= {
        path.name for path in images.values()
    }
    page = html.write_report(again, images, tmp_path / "report.html").read_text()
    assert "models of several runtimes compared" in page
    assert "not installed: pip install onnxruntime" in page


class _Model:
    """Answers in turn as told; some cannot run one input."""

    def __init__(self, log: list[str], name: str, smallest: int = 1) -> None:
        self._log, self._name, self._smallest = log, name, smallest

    def seconds(self, batch_size: int) -> tuple[float, float]:
        if batch_size < self._smallest:
            raise ModelError("Got: 1 Expected: 20")
        self._log.append(self._name)
        return 0.1, 0.2


def test_models_are_asked_in_turn_and_one_that_cannot_is_left_out() -> None:
    log: list[str] = []
    models: Any = {"a": _Model(log, "a"), "b": _Model(log, "b"), "c": _Model(log, "c", 20)}
    found = time_served(models, 1, rounds=20, seed=0)
    assert found.failures == {"c": "Got: 1 Expected: 20"}
    assert {name: len(values) for name, values in found.wall.items()} == {"a": 20, "b": 20}
    rounds = log[6:]
    pairs = {tuple(rounds[place : place + 2]) for place in range(0, 40, 2)}
    assert pairs == {("a", "b"), ("b", "a")}
    assert found.timing("c", "a") is None
