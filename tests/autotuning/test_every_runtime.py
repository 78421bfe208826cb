"""Several runtimes under one budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.autotuning.autotune import result_everywhere
from nc_sigopt_strategy.autotuning.every_runtime import EveryRuntime
from nc_sigopt_strategy.autotuning.request import Place
from nc_sigopt_strategy.autotuning.result import TuningResult
from nc_sigopt_strategy.errors import ModelError, SettingsError
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.autotuning.fakes import FakeRunners, accuracy, known


def tuned(runners: FakeRunners, folder: Path, **more: Any) -> TuningResult:
    hosts = [known(name) for name in runners.speeds]
    place = Place(folder, {"storage": f"sqlite:///{folder / 'store.sqlite3'}"})
    request = runners.request(**more)
    return result_everywhere(EveryRuntime(request, place, hosts, runners.make).tune())


def test_the_fastest_of_several_is_returned(tmp_path: Path) -> None:
    runners = FakeRunners({"slow": 1.0, "fast": 2.0, "middling": 1.5})
    result = tuned(runners, tmp_path)
    assert result.found
    assert result.runtime == "fast"
    assert result.model == result.own_model
    rows = {(row.runtime, row.is_fp32): row for row in result.runtimes}
    assert len(rows) == 6
    assert [key for key, row in rows.items() if row.is_fastest] == [("fast", False)]
    assert rows["slow", True].speedup.value == pytest.approx(1.0)  # type: ignore[union-attr]
    assert rows["fast", True].speedup.value == pytest.approx(2.0)  # type: ignore[union-attr]
    assert "what was found on fast" in result.outcome.verdict
    assert "times as fast as FP32 on slow" in result.outcome.verdict


def test_the_leader_gets_the_rest_of_the_budget(tmp_path: Path) -> None:
    runners = FakeRunners({"slow": 1.0, "fast": 2.0})
    result = tuned(runners, tmp_path, max_trials=20, patience=0)
    trials = {row.runtime: row.trials for row in result.runtimes}
    assert trials == {"slow": 6, "fast": 14}
    # One experiment each: the leader's was continued, not begun again.
    assert result.outcome.trials == 14
    assert read_outcome(tmp_path / "fast").trials == 14
    assert runners.hosts["fast"].calls["session"] == 2
    assert runners.hosts["slow"].calls["session"] == 1


def test_time_is_shared_too(tmp_path: Path) -> None:
    runners = FakeRunners({"slow": 1.0, "fast": 2.0})
    result = tuned(runners, tmp_path, max_trials=1000, timeout=60, patience=0)
    assert runners.clock() <= 60 * 1.05
    trials = {row.runtime: row.trials for row in result.runtimes}
    assert 0 < trials["slow"] < trials["fast"]


def test_all_have_the_bound_of_the_first(tmp_path: Path) -> None:
    seen: list[Any] = []

    def evaluate(model: Any) -> float:
        seen.append(model)
        # The second runtime's FP32 gives another accuracy.
        return accuracy(model) - (0.01 if len(seen) > 7 else 0.0)

    runners = FakeRunners({"first": 1.0, "second": 2.0})
    result = tuned(runners, tmp_path, evaluate=evaluate, patience=0)
    assert runners.given["first"].fp32_accuracy is None
    assert runners.given["second"].fp32_accuracy == 0.9
    assert result.outcome.accuracy_target == pytest.approx(0.9 * 0.95)
    assert "FP32 on second has accuracy 0.8900, and not 0.9000" in result.outcome.verdict


def test_a_runtime_that_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    runners = FakeRunners({"broken": ModelError("It cannot be read."), "sound": 1.0})
    result = tuned(runners, tmp_path)
    assert result.runtime == "sound"
    assert result.outcome.trials > 0
    (failed,) = (row for row in result.runtimes if row.failure)
    assert failed.runtime == "broken"
    assert "It cannot be read." in failed.in_words()
    assert "broken: failed" in result.report()


def test_where_all_fail_the_first_error_is_raised(tmp_path: Path) -> None:
    runners = FakeRunners({"one": ModelError("No."), "two": ModelError("Neither.")})
    with pytest.raises(ModelError, match=r"^No\.$"):
        tuned(runners, tmp_path)


def test_an_evaluation_that_serves_one_runtime_only(tmp_path: Path) -> None:
    runners = FakeRunners({"one": 1.0, "two": 2.0})

    def evaluate(model: Any) -> float:
        if "two" in runners.hosts:
            raise AttributeError("a model of two has no graph")
        return accuracy(model)

    result = tuned(runners, tmp_path, evaluate=evaluate)
    assert result.runtime == "one"
    (failed,) = (row for row in result.runtimes if row.failure)
    assert "predictor(model)" in failed.failure


def test_fp32_of_a_faster_runtime_wins_over_a_slower_ones_int8(tmp_path: Path) -> None:
    runners = FakeRunners({"slow": 0.1, "fast": 10.0})

    def evaluate(model: Any) -> float:
        # On the fast runtime nothing but FP32 meets the bound.
        fast = "fast" in runners.hosts
        return accuracy(model) if not fast or model.noise == 0 else 0.0

    result = tuned(runners, tmp_path, evaluate=evaluate)
    assert result.found
    assert result.runtime == "fast"
    assert result.outcome.faster_than_fp32 is False
    saved = result.save(tmp_path / "best")
    assert saved.name == "best.json"


def test_workers_share_one_experiment_and_so_one_host(tmp_path: Path) -> None:
    runners = FakeRunners({"one": 1.0})
    with pytest.raises(SettingsError, match=r"worker is 'w', and host='auto'.*Name one host"):
        tuned(runners, tmp_path, worker="w")


def test_ctrl_c_ends_all_and_the_best_so_far_is_returned(tmp_path: Path) -> None:
    runners = FakeRunners({"one": 1.0, "two": 2.0})
    calls: list[int] = []

    def evaluate(model: Any) -> float:
        calls.append(1)
        if len(calls) == 5:
            import signal

            signal.raise_signal(signal.SIGINT)
        return accuracy(model)

    result = tuned(runners, tmp_path, evaluate=evaluate)
    assert result.interrupted
    assert "two" not in runners.hosts
    assert result.found
    assert result.runtime == "one"


def test_one_runtime_gets_everything(tmp_path: Path) -> None:
    runners = FakeRunners({"one": 1.0})
    result = tuned(runners, tmp_path, max_trials=9, patience=0)
    assert result.outcome.trials == 9
