"""Profiles in recorded landscapes: kept, read again, and told to the sampler in a race."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    LandscapeWriter,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.profiles import (
    RecordedProfile,
    profile_missing,
    profiled_models,
)
from nc_sigopt_benchmarks.research.landscapes.record import making_of
from nc_sigopt_benchmarks.research.landscapes.recorded import recorded_landscape
from nc_sigopt_benchmarks.research.landscapes.subject import Making
from nc_sigopt_strategy.errors import DataError
from tests.benchmarks.test_landscape_surrogate import OPS, TYPES, header, write

DEFAULT = ("int8",) * OPS
PARAMETERS = {f"op{i}": TYPES for i in range(OPS)}
# What each op takes of a model's time; the profiler is silent on the last one.
SHARES = (0.1, 0.2, 0.05, 0.3, 0.15, None)
TOTAL = 0.008


class FakeProfiler:
    """Every op takes the same share in all types. Dies at a call if told to."""

    def __init__(self, die_at: int | None = None) -> None:
        self.calls: list[str] = []
        self._die_at = die_at

    def profile(self, origin: str, labels: tuple[str, ...]) -> list[RecordedProfile]:
        if len(self.calls) == self._die_at:
            raise KeyboardInterrupt
        self.calls.append(origin)
        took = tuple(None if share is None else share * TOTAL for share in SHARES)
        return [RecordedProfile(origin, labels, 20, took, TOTAL)]


def profile_into(path: Path, profiler: FakeProfiler) -> list[RecordedProfile]:
    told: list[RecordedProfile] = []
    with LandscapeWriter(path, read_landscape_file(path).header) as writer:
        profile_missing(profiled_models(PARAMETERS, DEFAULT), writer, profiler, told.append)
    return told


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "fake.jsonl")


def profiles_told(landscape: Landscape, seed: int = 0) -> dict[str, dict[str, float]]:
    """By the type of ``op0``, which is that of all."""
    found = landscape.probing(np.random.default_rng(seed)).found
    return {p.values.get("op0", "fp32"): dict(p.op_latency) for p in found if p.op_latency}


def test_fp32_bf16_and_the_default_are_profiled() -> None:
    assert set(profiled_models(PARAMETERS, DEFAULT).values()) == {
        (label,) * OPS for label in TYPES
    }


def test_models_that_are_the_same_are_profiled_once() -> None:
    parameters = {"a": ("int8", "fp32"), "b": ("int8", "bf16", "fp32"), "c": ("fp32",)}
    assert list(profiled_models(parameters, ("int8", "int8", "fp32")).values()) == [
        ("fp32", "fp32", "fp32"),
        ("fp32", "bf16", "fp32"),
        ("int8", "int8", "fp32"),
    ]
    without = {"a": ("int8", "fp32")}
    assert len(profiled_models(without, ("int8",))) == 2


def test_profiles_stand_between_rows_and_change_none(path: Path) -> None:
    before = read_landscape_file(path)
    assert len(profile_into(path, FakeProfiler())) == 3
    after = read_landscape_file(path)
    assert after.rows == before.rows
    assert [profile.labels[0] for profile in after.profiles] == ["fp32", "bf16", "int8"]
    *told, silent = after.profiles[0].shares
    assert told == pytest.approx(SHARES[:-1], rel=1e-3)
    assert silent is None


def test_profiles_that_are_there_are_not_made_again(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        profile_into(path, FakeProfiler(die_at=2))
    second = FakeProfiler()
    profile_into(path, second)
    assert len(second.calls) == 1
    assert len(read_landscape_file(path).profiles) == 3


def test_a_framework_that_does_not_tell_leaves_no_profile(path: Path) -> None:
    class Silent(FakeProfiler):
        def profile(self, origin: str, labels: tuple[str, ...]) -> list[RecordedProfile]:
            return []

    assert profile_into(path, Silent()) == []
    assert not recorded_landscape(path, 20).profiles


def test_a_race_tells_measured_shares_of_a_measured_latency(path: Path) -> None:
    profile_into(path, FakeProfiler())
    landscape = recorded_landscape(path, 20)
    for value, label in enumerate(TYPES):
        whole = float(landscape.latency(np.full((1, OPS), value))[0])
        told = profiles_told(landscape)[label]
        assert set(told) == {f"op{i}" for i in range(OPS - 1)}
        by_share = [
            took / (share or 1) for took, share in zip(told.values(), SHARES, strict=False)
        ]
        # One latency for all ops: only it has an error, not each op of its own.
        assert by_share == pytest.approx([by_share[0]] * (OPS - 1), rel=1e-3)
        assert by_share[0] == pytest.approx(whole, rel=0.1)


def test_without_all_profiles_of_a_run_a_race_draws_them(path: Path) -> None:
    drawn = profiles_told(recorded_landscape(path, 20))
    assert len(drawn["fp32"]) == OPS
    with pytest.raises(KeyboardInterrupt):
        profile_into(path, FakeProfiler(die_at=2))
    assert profiles_told(recorded_landscape(path, 20)) == drawn


def test_profiles_of_another_batch_size_are_not_told(path: Path) -> None:
    profile_into(path, FakeProfiler())
    recorded = read_landscape_file(path)
    lines = path.read_bytes().splitlines(keepends=True)[: -len(recorded.profiles)]
    path.write_bytes(b"".join(lines))
    with LandscapeWriter(path, recorded.header) as writer:
        for profile in recorded.profiles:
            writer.add_profile(dataclasses.replace(profile, batch_size=1))
    assert not recorded_landscape(path, 20).profiles


def test_files_of_the_first_format_are_continued_as_they_were_made(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    first = {**json.loads(lines[0]), "format": 1}
    first.pop("making", None)
    path.write_bytes(json.dumps(first).encode() + b"\n" + b"".join(lines[1:]))
    rows = read_landscape_file(path).rows
    assert making_of(path) == Making("exact", "off")
    profile_into(path, FakeProfiler())
    raw = json.loads(path.read_bytes().splitlines()[0])
    assert raw["format"] == 2
    assert raw["making"] == {"calibration": "exact", "finishing": "off"}
    assert read_landscape_file(path).rows == rows


def test_new_files_are_made_as_a_run_makes_models(tmp_path: Path) -> None:
    assert making_of(tmp_path / "none.jsonl") == Making() == Making("fitted", "on")
    torn = tmp_path / "torn.jsonl"
    torn.write_text('{"format": 2, "ki')
    assert making_of(torn) == Making()


def with_versions(**versions: str) -> dict[str, Any]:
    return {**header(accuracy=True), "format": 2, "versions": versions}


def test_only_packages_that_make_or_run_models_must_be_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    versions = {"neural-compressor": "3.7.1", "tensorflow-cpu": "2.18.1", "onnxruntime": "1.22.1"}
    with LandscapeWriter(path, with_versions(**versions)):
        pass
    with LandscapeWriter(path, with_versions(**{**versions, "onnxruntime": "1.32.0"})):
        pass
    with pytest.raises(DataError, match=r"versions changed; versions was .*2\.18\.1"):
        LandscapeWriter(path, with_versions(**{**versions, "tensorflow-cpu": "2.21.0"}))


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": [0.1]},
        {"total": 0},
        {"seconds": [-1.0] * OPS},
        {"labels": None},
        {"total": "x"},
    ],
)
def test_profiles_that_cannot_be_are_refused(path: Path, change: dict[str, Any]) -> None:
    profile_into(path, FakeProfiler())
    *lines, last = path.read_text().splitlines()
    path.write_text("\n".join([*lines, json.dumps({**json.loads(last), **change})]) + "\n")
    with pytest.raises(DataError, match="cannot be read as a landscape"):
        read_landscape_file(path)
