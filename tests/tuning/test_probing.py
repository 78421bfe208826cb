"""Probing before the sampler's first suggestion, on a fake host with a clock of its own."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.measurement.batches import CalibrationData
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.sampling.probes import Probe, Probing
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from nc_sigopt_strategy.testing import fake_host
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeBackend, FakeSession
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare
from nc_sigopt_strategy.tuning.probe_plan import ProbePlan
from nc_sigopt_strategy.tuning.probing import LEAST_PARAMETERS

OPS = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def run(
    host: FakeHost, folder: Path, *, max_trials: int = 40, timeout: float = 0, **kwargs: Any
) -> Ended:
    settings = Settings.from_kwargs(
        {
            "storage": f"sqlite:///{folder.parent / 'store.sqlite3'}",
            "output_dir": str(folder),
            "progress": False,
            **kwargs,
        }
    )
    budget = Budget(max_trials, timeout, settings.stop_at_first, clock=host.clock)
    return tune(prepare(host, settings, folder=folder, seed=0), budget)


def probing_of(folder: Path) -> Probing | None:
    """What the store's one experiment holds of probes."""
    with sqlite3.connect(folder.parent / "store.sqlite3") as store:
        rows = store.execute("SELECT value_json FROM study_system_attributes WHERE key='record'")
        (record,) = rows.fetchone()
    return Probing.from_json(json.loads(record).get("probes"))


def experiment_of(folder: Path) -> str:
    with sqlite3.connect(folder.parent / "store.sqlite3") as store:
        rows = store.execute("SELECT study_id FROM study_system_attributes WHERE key='record'")
        return str(rows.fetchone()[0])


def probed_ops(probing: Probing | None) -> list[tuple[str, ...]]:
    assert probing is not None
    groups = [one for one in probing.found if one.latency is None and one.noise is not None]
    return [tuple(one.values) for one in groups]


def origins(folder: Path) -> list[str]:
    return [trial.origin for trial in read_trials(folder)]


def test_every_op_is_probed_after_the_first_trial_and_the_sampler_goes_on(folder: Path) -> None:
    host = FakeHost(ops=OPS, seed=1)
    run(host, folder)
    probing = probing_of(folder)
    assert probing is not None
    assert probing.done
    assert sorted(map(len, probed_ops(probing))) == [1] * OPS
    assert len(set(probed_ops(probing))) == OPS
    timed = [probe for probe in probing.found if probe.latency is not None]
    assert [len(probe.values) for probe in timed] == [0, OPS, OPS / 2]
    assert timed[0].latency == pytest.approx(host.fp32.latency_seconds)
    assert [one.noise is None for one in timed] == [True, False, False]
    profiles = [probe for probe in probing.found if probe.op_latency]
    assert [set(probe.values.values()) for probe in profiles] == [set(), {"bf16"}, {"int8"}]
    for profile in profiles:
        model = host.quantize(profiled_choices(host, profile))
        assert list(profile.op_latency.values()) == pytest.approx(model.op_seconds, rel=1e-3)
    # Its output is no classifier's.
    assert probing.noise_limit is None
    first, second = origins(folder)[:2]
    assert first == "seed: default int8"
    assert second.startswith("sampler")


def profiled_choices(host: FakeHost, probe: Probe) -> Choices:
    values = list(probe.values.values()) or ["fp32"] * OPS
    return Choices(
        {op.key: label for op, label in zip(host.ops(), values, strict=True)},
        host.sampling_sizes()[0],
    )


def no_profiler(*_: object) -> None:
    return None


def broken_profiler(*_: object) -> None:
    raise RuntimeError("no room for a profile")


@pytest.mark.parametrize("op_times", [no_profiler, broken_profiler])
def test_without_a_profiler_models_are_timed_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, op_times: Any
) -> None:
    monkeypatch.setattr(FakeBackend, "op_times", op_times)
    host = FakeHost(ops=OPS, seed=1)
    run(host, folder, max_trials=3, probing=60)
    probing = probing_of(folder)
    assert probing is not None
    assert not any(probe.op_latency for probe in probing.found)
    timed = [probe for probe in probing.found if probe.latency is not None]
    assert [len(probe.values) for probe in timed] == [0, OPS, OPS / 2]


def test_fp32_without_names_is_profiled_as_the_host_makes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, told = FakeHost(ops=OPS, seed=1), FakeBackend.op_times

    def nameless(self: FakeBackend, model: Any, *more: Any) -> Any:
        return None if model is host.fp32 else told(self, model, *more)

    monkeypatch.setattr(FakeBackend, "op_times", nameless)
    run(host, folder, max_trials=3, probing=60)
    probing = probing_of(folder)
    assert probing is not None
    profiles = [probe for probe in probing.found if probe.op_latency]
    assert [set(probe.values.values()) for probe in profiles] == [set(), {"bf16"}, {"int8"}]


class Classifier(FakeHost):
    """Gives logits of 10 classes for 64 inputs."""

    def calibration_data(self) -> CalibrationData:
        return CalibrationData([np.zeros((64, 1), np.float32)], "fake")


def test_margins_of_a_classifier_are_kept_with_the_probes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = 3.0 * np.random.default_rng(0).standard_normal((64, 10))

    timed = FakeSession.run

    def outputs(session: FakeSession, inputs: Any) -> list[Any]:
        timed(session, inputs)
        return [logits * (1 + np.sqrt(session.model.noise))]

    monkeypatch.setattr(FakeSession, "run", outputs)
    run(Classifier(ops=OPS, seed=1), folder, max_trials=3, probing=60)
    probing = probing_of(folder)
    assert probing is not None
    assert probing.noise_limit is not None
    assert 1e-4 < probing.noise_limit < 1.0


def test_probes_find_a_faster_model_in_few_trials(folder: Path) -> None:
    """The same eight trials, with and without."""
    latencies = []
    for number, probing in enumerate(("off", 60)):
        host = FakeHost(ops=OPS, seed=5)
        place = folder.parent / str(number) / "run"
        place.parent.mkdir()
        ended = run(host, place, max_trials=8, probing=probing)
        assert ended.model is not None
        latencies.append(ended.model.latency_seconds)
    without, probed = latencies
    assert probed < without


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        (FakeHost(ops=OPS, seed=1), {"probing": "off"}),
        (FakeHost(ops=OPS, seed=1), {"sampler": "tpe"}),
        (FakeHost(ops=6, seed=1), {}),
        (FakeHost(ops=OPS, seed=1, tolerable_loss=0.9), {}),
        (FakeHost(ops=OPS, seed=1), {"locked_ops": {"op3$": "int8"}}),
    ],
    ids=["off", "tpe", "few", "met", "locked"],
)
def test_where_nothing_is_probed(host: FakeHost, settings: dict[str, Any], folder: Path) -> None:
    run(host, folder, max_trials=9, **settings)
    assert probing_of(folder) is None


def test_where_evaluating_is_cheap_nothing_is_probed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_host, "_EVALUATION_SECONDS", 0.01)
    host = FakeHost(ops=LEAST_PARAMETERS, seed=1)
    run(host, folder, latency_repeats=2)
    assert probing_of(folder) is None


def test_a_small_budget_is_left_to_the_trials(folder: Path) -> None:
    """A fifth of what is left pays for one probe, which tells what one takes."""
    run(FakeHost(ops=OPS, seed=1), folder, timeout=12.0)
    assert len(probed_ops(probing_of(folder))) <= 1
    assert origins(folder)[1].startswith("seed")


def test_seconds_that_are_not_enough_for_all_are_spent_on_groups(folder: Path) -> None:
    host = FakeHost(ops=40, seed=1)
    run(host, folder, probing=8.0)
    groups = probed_ops(probing_of(folder))
    assert 12 <= len(groups) <= 18
    assert len({name for group in groups for name in group}) == 40


def test_an_op_that_cannot_be_probed_is_left_out(folder: Path) -> None:
    # The first quantization is the default's; the reference's model is the same.
    host = FakeHost(ops=OPS, seed=1, faults={("quantize", 4): ValueError("not this one")})
    run(host, folder)
    probing = probing_of(folder)
    assert probing is not None
    assert probing.done
    assert len(probed_ops(probing)) == OPS - 1


def test_what_was_probed_before_a_stop_is_not_probed_again(folder: Path) -> None:
    stopped = FakeHost(ops=OPS, seed=1, faults={("quantize", 7): KeyboardInterrupt()})
    ended = run(stopped, folder)
    before = probing_of(folder)
    assert before is not None
    assert not before.done
    assert len(before.found) == 5

    host = FakeHost(ops=OPS, seed=1)
    run(host, folder, sigopt_experiment_id=ended.outcome.experiment_id, max_trials=40)
    after = probing_of(folder)
    assert after is not None
    assert after.done
    assert after.found[:5] == before.found
    assert len(set(probed_ops(after))) == len(probed_ops(after)) == OPS

    again = FakeHost(ops=OPS, seed=1)
    run(again, folder, sigopt_experiment_id=ended.outcome.experiment_id, max_trials=41)
    assert probing_of(folder) == after


_KILLED = """
import os, signal, sys
from pathlib import Path
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.tuning.test_probing import OPS, run

class Killed(FakeHost):
    def quantize(self, choices):
        if self.calls["quantize"] == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().quantize(choices)

run(Killed(ops=OPS, seed=1), Path(sys.argv[1]))
"""


def test_a_process_that_is_killed_loses_what_the_last_seconds_found(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder)], cwd=Path(__file__).parents[2], check=False
    )
    assert ended.returncode == -signal.SIGKILL
    before = probing_of(folder)
    assert before is not None
    assert not before.done
    assert len(before.found) >= 3

    host = FakeHost(ops=OPS, seed=1)
    run(host, folder, sigopt_experiment_id=experiment_of(folder))
    after = probing_of(folder)
    assert after is not None
    assert after.done
    assert after.found[: len(before.found)] == before.found
    assert len(set(probed_ops(after))) == len(probed_ops(after)) == OPS


@pytest.mark.parametrize("wrong", ["on", 0, -1, True, float("inf"), float("nan"), [3]])
def test_a_setting_that_is_none(wrong: Any) -> None:
    with pytest.raises(SettingsError, match="'auto', 'off' or a number of seconds above 0"):
        Settings.from_kwargs({"probing": wrong})


def plan_through(plan: ProbePlan, affordable: int, noises: dict[str, float]) -> list[Any]:
    asked = []
    for _ in range(affordable):
        group = plan.next(affordable)
        if group is None:
            break
        asked.append(group)
        plan.tell(group, sum(noises[name] for name in group))
    return asked


def test_with_time_for_all_each_op_comes_alone_the_last_first() -> None:
    names = [f"op{n}" for n in range(9)]
    asked = plan_through(ProbePlan(names, {}), 50, dict.fromkeys(names, 1.0))
    assert asked == [("op8",), *((name,) for name in names[:-1])]


def test_with_less_the_noisy_op_is_found_by_halving() -> None:
    names = [f"op{n:02}" for n in range(64)]
    noises = {name: 50.0 if name == "op21" else 0.01 for name in names}
    asked = plan_through(ProbePlan(names, {}), 24, noises)
    assert len(asked) == 24
    assert ("op21",) in asked
    assert {name for group in asked for name in group} == set(names)


def test_a_plan_that_is_continued_asks_for_what_is_missing() -> None:
    names = [f"op{n}" for n in range(9)]
    known = {("op8",): 1.0, ("op0",): 1.0, ("gone",): 1.0}
    asked = plan_through(ProbePlan(names, known), 50, dict.fromkeys(names, 1.0))
    assert asked == [(name,) for name in names[1:-1]]


def test_a_model_without_ops_has_nothing_to_probe() -> None:
    assert ProbePlan([], {}).next(10) is None
