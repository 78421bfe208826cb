"""Recording a landscape: the design, the file, continuing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nc_sigopt_benchmarks.research.landscapes.cloud import (
    NOISE_FACTOR,
    SingleOps,
    cloud_rows,
    noise_targets,
)
from nc_sigopt_benchmarks.research.landscapes.design import Design, DesignOptions
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    FORMAT,
    LandscapeRow,
    LandscapeWriter,
    RecordedLatency,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.profiles import Labels
from nc_sigopt_benchmarks.research.landscapes.record import (
    choose_cloud,
    measure_missing,
    rows_expected,
)
from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import WRONG_USE
from nc_sigopt_strategy.errors import DataError

NAMES = [f"op{i}" for i in range(12)]
PARAMETERS: dict[str, Labels] = dict.fromkeys(NAMES, ("int8", "bf16", "fp32"))
PARAMETERS["op11"] = ("int8", "fp32")
DEFAULT = ("int8",) * len(NAMES)
OPTIONS = DesignOptions(mixes=8, segment_mixes=8, cloud=10)
SENSITIVITY = np.geomspace(1e-4, 1e-1, len(NAMES))
HEADER: dict[str, Any] = {
    "format": FORMAT,
    "kind": "landscape",
    "model": "fake",
    "parameters": [{"name": n, "values": list(v)} for n, v in PARAMETERS.items()],
    "default": list(DEFAULT),
    "baseline_accuracy": 0.9,
    "relative_bound": 0.01,
    "seed": 0,
}


def design(options: DesignOptions = OPTIONS) -> Design:
    return Design(PARAMETERS, DEFAULT, options)


class FakeBench:
    """Additive latency and noise; accuracy falls with the noise. Dies at a call if told to."""

    def __init__(self, die_at: int | None = None) -> None:
        self.calls: list[Labels] = []
        self._die_at = die_at

    def measure(self, origin: str, labels: Labels) -> LandscapeRow:
        if len(self.calls) == self._die_at:
            raise KeyboardInterrupt
        self.calls.append(labels)
        in_int8 = np.array([label == "int8" for label in labels])
        noise = float(SENSITIVITY[in_int8].sum())
        ratio = 1.0 + 0.3 * float((~in_int8).sum())
        latency = {20: RecordedLatency(ratio, 0.01, 0.1)}
        return LandscapeRow(origin, labels, 0.9 - noise, noise, latency, 0.5)


def record_into(path: Path, bench: FakeBench, header: dict[str, Any] = HEADER) -> None:
    with LandscapeWriter(path, header) as writer:
        done = lambda row, rows: None  # noqa: E731
        measure_missing(design(), writer, bench, done)
        cloud = choose_cloud(writer, design(), 20)
        measure_missing(cloud, writer, bench, done)


def test_design_is_the_same_for_the_same_seed() -> None:
    first, again = list(design()), list(design())
    assert first == again
    other = list(design(DesignOptions(mixes=8, segment_mixes=8, cloud=10, seed=1)))
    assert other[:39] == first[:39]
    assert other != first


def test_design_begins_with_uniform_and_single_configurations() -> None:
    rows = list(design())
    assert [origin for origin, _ in rows[:3]] == ["all int8", "all bf16", "all fp32"]
    assert rows[1][1] == ("bf16",) * 11 + ("int8",), "op11 has no bf16"
    assert rows[3] == ("single fallback fp32: op0", ("fp32", *DEFAULT[1:]))
    origin, labels = rows[3 + 24]
    assert origin == "single int8: op0"
    assert labels == ("int8", *["fp32"] * 11)
    assert len(rows) == 3 + 3 * len(NAMES) + 16


def test_every_label_of_the_design_is_a_value_of_its_parameter() -> None:
    for _, labels in design():
        assert all(lb in PARAMETERS[n] for n, lb in zip(NAMES, labels, strict=True))


def test_mixtures_follow_their_density() -> None:
    options = DesignOptions(mixes=400, segment_mixes=400)
    shares: dict[str, list[float]] = {}
    for origin, labels in design(options):
        shares.setdefault(origin, []).append(np.mean([label == "int8" for label in labels]))
    assert np.mean(shares["mix 0.2"]) == pytest.approx(0.2, abs=0.05)
    assert np.mean(shares["segments 0.8"]) == pytest.approx(0.8, abs=0.08)


def test_noise_at_the_bound_is_read_from_a_smooth_curve() -> None:
    noises = np.geomspace(1e-4, 1e-1, 12)
    rows = [LandscapeRow("", ("int8",), 0.9 * np.exp(-(noise**0.5)), noise) for noise in noises]
    (target,) = noise_targets(rows, 0.9, 0.9 * 0.95)
    assert target == pytest.approx(np.log(0.95) ** 2, rel=0.05)


def test_half_decades_without_an_accuracy_or_a_crossing() -> None:
    rows = [LandscapeRow("", ("int8",), 0.9, noise) for noise in (1e-4, 1.0)]
    half_decades = pytest.approx([10 ** -(k / 2) for k in range(1, 6)])
    assert noise_targets(rows, None, 0.0) == half_decades
    assert noise_targets(rows, 0.9, 0.5) == half_decades


def test_cloud_lies_near_the_noise_that_was_asked_for() -> None:
    bench = FakeBench()
    rows = [bench.measure(origin, labels) for origin, labels in design()]
    single = SingleOps.of(rows, design(), 20)
    assert single.noise == pytest.approx(SENSITIVITY, rel=0.01)
    cloud = cloud_rows(design(), single, [0.01], 10)
    assert cloud == cloud_rows(design(), single, [0.01], 10)
    assert 5 <= len(cloud) <= 10
    measured = [bench.measure(*row) for row in cloud]
    assert all(
        0.01 / NOISE_FACTOR <= (r.output_noise or 0) <= 0.02 * NOISE_FACTOR for r in measured
    )
    ratios = [row.latency[20].ratio for row in measured]
    assert max(ratios) > min(ratios) + 0.5


def test_cloud_needs_the_latency_of_the_default() -> None:
    bench = FakeBench()
    rows = [replace(bench.measure(*row), latency={}) for row in design()]
    with pytest.raises(DataError, match="no latency of the default int8 model at batch 20"):
        SingleOps.of(rows, design(), 20)


def test_interrupted_recording_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    record_into(whole, FakeBench())
    for die_at in (0, 20, 57):
        path, second = tmp_path / f"{die_at}.jsonl", FakeBench()
        with pytest.raises(KeyboardInterrupt):
            record_into(path, FakeBench(die_at))
        record_into(path, second)
        assert path.read_bytes() == whole.read_bytes()
        assert len(second.calls) == len(read_landscape_file(whole).rows) - die_at
    with LandscapeWriter(whole, HEADER) as writer:
        assert rows_expected(writer, design()) == len(writer.rows)
    nothing_left = FakeBench()
    record_into(whole, nothing_left)
    assert nothing_left.calls == []


def test_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    record_into(path, FakeBench())
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    rows = len(read_landscape_file(path).rows)
    record_into(path, FakeBench())
    assert path.read_bytes() == whole
    assert rows == len(read_landscape_file(path).rows) - 1


def test_torn_header_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_text('{"format": 2, "ki')
    record_into(path, FakeBench())
    assert read_landscape_file(path).parameters == PARAMETERS


def test_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    record_into(path, FakeBench())
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"model changed; model was fake and is other now"):
        record_into(path, FakeBench(), {**HEADER, "model": "other"})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "kind None, format None"),
        ('{"format": 3, "kind": "landscape"}\n', "format 3"),
        ("no json\n", "cannot be read as a landscape"),
        ('{"format": 1, "kind": "landscape"}\n{"labels": []}\n', "cannot be read"),
        ('{"format": 2, "kind": "landscape"}\n{"labels": []}\n', "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=said):
        read_landscape_file(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no landscape file .*none\.jsonl"):
        read_landscape_file(tmp_path / "none.jsonl")


def test_failures_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with LandscapeWriter(path, HEADER) as writer:
        writer.add(LandscapeRow("all int8", DEFAULT, seconds=1.0, failure="ValueError: no"))
    (row,) = read_landscape_file(path).rows
    assert row.failure == "ValueError: no"
    assert row.accuracy is None
    assert "failure" in json.loads(path.read_text().splitlines()[1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["landscape", "none.jsonl"], "There is no landscape file none.jsonl."),
        (["record", "any.yaml", "--fallbacks", "fp16"], "cannot fall back to 'fp16'"),
        (["record", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], said: str) -> None:
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == WRONG_USE
    assert said in ended.output
    assert len(ended.output.strip().splitlines()) == 1
