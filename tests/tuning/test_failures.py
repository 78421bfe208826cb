"""What a run says of trials that fail, and of a bound that cannot be met: on a fake host."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.errors import SettingsError, in_one_line
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning import users_code
from nc_sigopt_strategy.tuning.failures import shared_by_all
from nc_sigopt_strategy.tuning.first_check import refuse_bound_that_fp32_misses
from nc_sigopt_strategy.tuning.users_code import place_in_users_code
from tests.conftest import logged
from tests.tuning.test_loop import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


class UsersHost(FakeHost):
    """A host whose evaluation is a user's function."""

    def __init__(self, evaluation: Any) -> None:
        super().__init__(ops=4)
        self._evaluation = evaluation

    def evaluate(self, model: Any) -> Any:
        self._evaluation(self.calls["evaluate"] + 1)
        return super().evaluate(model)


def broken_metric(call: int) -> None:
    raise ValueError(f"my metric broke:\n  row {call} has no label")


def test_three_equal_failures_of_the_users_code_end_the_run(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        outcome = run(UsersHost(broken_metric), folder, max_trials=20).outcome
    assert outcome.trials == 3
    assert not outcome.found
    assert "my metric broke: row 1 has no label" in outcome.stop_reason
    assert f"{__file__}, line " in outcome.stop_reason
    assert "in broken_metric" in outcome.stop_reason
    told = [line for line in logged(caplog) if "Your own code" in line]
    assert len(told) == 1
    assert "in evaluate" in told[0]
    assert 'raise ValueError(f"my metric broke' in told[0]


def test_failures_of_the_users_code_between_others_do_not(folder: Path) -> None:
    def sometimes(call: int) -> None:
        if calls.append(call) or len(calls) % 3:
            raise KeyError("a label")

    calls: list[int] = []
    outcome = run(UsersHost(sometimes), folder, max_trials=9).outcome
    assert outcome.trials == 9
    assert outcome.stop_reason == "The budget of 9 trials is spent."


def test_an_error_of_a_library_that_the_user_called_is_the_users() -> None:
    import json

    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    place = place_in_users_code(caught.value)
    assert place is not None
    assert place.file == __file__


def test_a_program_that_stands_on_this_package_is_no_users_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(users_code, "_ours", set(users_code._ours))
    with pytest.raises(ValueError, match="my metric broke") as caught:
        broken_metric(3)
    assert place_in_users_code(caught.value) is not None
    users_code.count_as_ours(Path(__file__).parent)
    assert place_in_users_code(caught.value) is None


def test_an_error_below_a_host_is_not_the_users() -> None:
    host = FakeHost(faults={("check", 1): ValueError("deep in INC")})
    with pytest.raises(ValueError, match="deep") as caught:
        host.check()
    assert place_in_users_code(caught.value) is None


@pytest.mark.parametrize("method", ["quantize", "evaluate"])
def test_an_exit_is_a_failed_trial(folder: Path, method: str) -> None:
    host = FakeHost(faults={(method, 2): SystemExit(0)})
    outcome = run(host, folder, max_trials=5).outcome
    trials = read_trials(folder)
    assert trials[1].state is TrialState.FAILED
    assert "exit(0)" in str(trials[1].failure)
    assert outcome.trials == 5
    assert outcome.error is None


@pytest.mark.parametrize("method", ["session", "check", "baseline"])
def test_an_exit_before_the_first_trial_is_the_outcome(folder: Path, method: str) -> None:
    outcome = run(FakeHost(faults={(method, 1): SystemExit(0)}), folder).outcome
    assert outcome.error is not None
    assert "ended the process: exit(0)" in outcome.error


def _failed(number: int, why: str) -> TrialRecord:
    return TrialRecord(number, TrialState.FAILED, "seed", {}, failure=why)


def test_what_all_trials_failed_with_is_one_reason() -> None:
    same = [_failed(1, "no op 17"), _failed(2, "no op 4"), _failed(3, "no op 1")]
    assert shared_by_all(same) == "All 3 trials failed for one reason: no op 17"
    repeat = _failed(4, "The same configuration failed as trial 1.")
    assert shared_by_all([*same, repeat]) == "All 4 trials failed for one reason: no op 17"
    assert shared_by_all([*same, _failed(4, "another")]) is None
    assert shared_by_all([]) is None


@pytest.mark.parametrize(
    ("baseline", "higher", "said"),
    [
        (-1.0, True, "metric is -1, higher is better"),
        (-0.2, False, "metric is -0.2, lower is better"),
        (0.0, False, "a share of 0 is 0"),
        ([0.9, -3.0], True, "metric is -3"),
        (0.0, True, "any model would meet a relative bound"),
        ([0.9, 0.0], True, "labels that are shifted"),
    ],
)
def test_a_bound_that_fp32_misses_is_refused(baseline: Any, higher: bool, said: str) -> None:
    bound = AccuracyBound.of(baseline, relative=True, tolerable_loss=0.05, higher_is_better=higher)
    with pytest.raises(SettingsError, match=r"FP32('s own| itself)") as caught:
        refuse_bound_that_fp32_misses(bound)
    assert said in str(caught.value)
    assert "relative=False to autotune" in str(caught.value)
    assert 'criterion="absolute"' in str(caught.value)


@pytest.mark.parametrize(
    ("baseline", "relative", "loss", "higher"),
    [
        (-1.0, False, 0.05, True),
        (0.0, False, 0.05, False),
        (0.9, True, 0.01, True),
        (0.3, True, 0.01, False),
        (0.9, True, -0.01, True),
        (0.0, True, 0.0, False),
        (0.0, False, 0.05, True),
    ],
)
def test_other_bounds_are_not(baseline: float, relative: bool, loss: float, higher: bool) -> None:
    refuse_bound_that_fp32_misses(
        AccuracyBound.of(baseline, relative=relative, tolerable_loss=loss, higher_is_better=higher)
    )


def test_a_bound_that_fp32_misses_costs_nothing_else(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Negative(FakeHost):
        @property
        def bound(self) -> AccuracyBound:
            return AccuracyBound.of(
                -1.0, relative=True, tolerable_loss=0.05, higher_is_better=True
            )

    host = Negative()
    with caplog.at_level(logging.ERROR):
        outcome = run(host, folder).outcome
    assert outcome.error == outcome.stop_reason
    assert "FP32 itself misses the accuracy bound" in outcome.stop_reason
    assert host.calls["quantize"] == 0
    assert any("FP32 itself misses" in line for line in logged(caplog))


def test_the_useful_line_of_a_message_stays() -> None:
    onnx = (
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the "
        "following indices\n index: 0 Got: 8 Expected: 1\n Please fix either the inputs/outputs."
    )
    assert "for the following indices; index: 0 Got: 8 Expected: 1" in in_one_line(onnx)
    tensorflow = (
        "Graph execution error:\n\nDetected at node MatMul defined at (most recent call last):\n"
        '  File "<stdin>", line 1, in <module>\n'
        "Matrix size-incompatible: In[0]: [8,3], In[1]: [4,5]\n\t [[{{node MatMul}}]]"
    )
    said = in_one_line(tensorflow)
    assert "Matrix size-incompatible" in said
    assert "File" not in said
    assert len(in_one_line("a word " * 1000)) < 700
