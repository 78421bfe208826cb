"""Who wins among finalists, when to stop, and which ops are suspected."""

from __future__ import annotations

from typing import Any

import pytest

from nc_sigopt_strategy.measurement.latency import RatioEstimate
from nc_sigopt_strategy.results.trial_history import TrialHistory, fastest_feasible
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.winners.verdict import choose, costliest_ops


def trial(number: int, accuracy: float = 0.9, latency: float = 1.0, **more: Any) -> TrialRecord:
    values = {"meets_bound": True, "state": TrialState.OBSERVED, **more}
    return TrialRecord(number, accuracy=accuracy, latency_seconds=latency, **values)


def ratios(latencies: dict[int, float], noise: float) -> dict[int, dict[int, RatioEstimate]]:
    return {
        a: {
            b: RatioEstimate(x / y, noise / 2, x / y - noise, x / y + noise)
            for b, y in latencies.items()
            if b != a
        }
        for a, x in latencies.items()
    }


CASES = [
    # latencies, accuracies, noise, default, winner, tied
    ({1: 1.0, 2: 1.2}, {1: 0.90, 2: 0.95}, 0.05, None, 1, ()),
    ({1: 1.0, 2: 1.02}, {1: 0.90, 2: 0.95}, 0.05, None, 2, (1,)),
    ({1: 1.0, 2: 1.02}, {1: 0.95, 2: 0.90}, 0.05, None, 1, (2,)),
    # 2 is tied with the fastest, 1, but slower than the default, 3, beyond the noise
    ({1: 1.0, 2: 1.05, 3: 0.999}, {1: 0.9, 2: 0.99, 3: 0.9}, 0.05, 3, 3, (1,)),
    ({1: 1.0}, {1: 0.9}, 0.05, 1, 1, ()),
]


@pytest.mark.parametrize(("latencies", "accuracies", "noise", "default", "winner", "tied"), CASES)
def test_choose(
    latencies: dict[int, float], accuracies: dict[int, float], noise: float,
    default: int | None, winner: int, tied: tuple[int, ...],
) -> None:  # fmt: skip
    finalists = [trial(n, accuracies[n], latencies[n]) for n in latencies]
    won, also = choose(finalists, ratios(latencies, noise), lambda a, b: a > b, default)
    assert won.number == winner
    assert also == tied


def test_fastest_feasible_leaves_out_duplicates_and_misses() -> None:
    trials = [
        trial(1, latency=3.0),
        trial(2, latency=1.0, meets_bound=False),
        trial(3, latency=2.0),
        trial(4, latency=2.0, duplicate_of=3),
        TrialRecord(5, TrialState.FAILED),
    ]
    assert [t.number for t in fastest_feasible(trials, 9)] == [3, 1]
    assert [t.number for t in fastest_feasible(trials, 1)] == [3]


def test_costliest_ops() -> None:
    trials = [
        trial(1, 0.8, assignments={"a": "int8", "b": "int8"}),
        trial(2, 0.9, assignments={"a": "fp32", "b": "int8"}),
        trial(3, 0.8, assignments={"a": "int8", "b": "fp32"}),
    ]
    costs = costliest_ops(trials, True, {"a": "net/a", "b": "net/b"})
    assert [c.op for c in costs] == ["net/a"]
    assert costs[0].accuracy_cost == pytest.approx(0.1)
    assert [c.op for c in costliest_ops(trials, False, {"a": "net/a", "b": "net/b"})] == ["net/b"]


STOPS = [
    ({"trials": 5}, "budget of 5"),
    ({"found": True}, "stop_at_first"),
    ({"failures_in_a_row": 10}, "last 10 trials failed"),
    ({"trial_seconds": [50.0]}, "time of 100 s"),
    ({"reserved_seconds": 45.0}, "time of 100 s"),
    ({"trial_seconds": [10.0]}, None),
]


@pytest.mark.parametrize(("changes", "said"), STOPS)
def test_budget(changes: dict[str, Any], said: str | None) -> None:
    now = [0.0]
    budget = Budget(5, 100, stop_at_first=True, clock=lambda: now[0])
    now[0] = 60.0
    state: dict[str, Any] = {
        "trials": 2, "found": False, "trial_seconds": [], "reserved_seconds": 0.0,
        "failures_in_a_row": 0,
    }  # fmt: skip
    reason = budget.stop_reason(**{**state, **changes})
    assert (reason is None) if said is None else (said in str(reason))


def test_interrupted_trials_may_be_tried_again() -> None:
    known = [
        (TrialRecord(1, TrialState.FAILED, assignments={"a": "int8"}, interrupted=True), None),
        (TrialRecord(2, TrialState.FAILED, assignments={"a": "fp32"}), None),
    ]
    history = TrialHistory({"a": "int8"}, known)
    assert history.with_assignments({"a": "int8"}) is None
    assert history.with_assignments({"a": "fp32"}) is not None
    assert len(history.records) == 2


def test_failures_of_another_process_do_not_count() -> None:
    failed = [
        (TrialRecord(n, TrialState.FAILED, assignments={"a": str(n)}), None) for n in range(9)
    ]
    history = TrialHistory({"a": "int8"}, failed)
    assert history.failures_in_a_row == 0
    history.add(TrialRecord(10, TrialState.FAILED, assignments={"a": "x"}), None)
    assert history.failures_in_a_row == 1


def test_no_timeout_means_no_deadline() -> None:
    assert Budget(5, 0, stop_at_first=False).deadline is None
