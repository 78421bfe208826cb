"""The first suggestions, on a simulated model whose sensitive ops are known."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from nc_sigopt_strategy.initial_suggestions import (
    AssignmentsKey,
    InitialSuggestions,
    assignments_key,
)
from nc_sigopt_strategy.outcome import TrialRecord, TrialState
from nc_sigopt_strategy.search_space import Parameter

VALUES = ("int8", "bf16", "fp32")
COST = {"int8": 1.0, "bf16": 5.0, "fp32": 4.0}


def space(ops: int, values: tuple[str, ...] = VALUES) -> Any:
    parameters = tuple(
        Parameter(f"op{i:02d}", ((f"op{i}", "conv2d"),), values) for i in range(ops)
    )
    return SimpleNamespace(parameters=parameters, default={p.name: "int8" for p in parameters})


def measure(number: int, assignments: Mapping[str, str], sensitive: set[int]) -> TrialRecord:
    """The bound is met exactly when no sensitive op is in int8."""
    met = all(assignments[f"op{i:02d}"] != "int8" for i in sensitive)
    return TrialRecord(
        number,
        TrialState.OBSERVED,
        assignments=dict(assignments),
        accuracy=1.0 if met else 0.0,
        meets_bound=met,
        latency_seconds=sum(COST[value] for value in assignments.values()),
    )


def play(suggestions: InitialSuggestions, sensitive: set[int]) -> list[tuple[str, TrialRecord]]:
    observed: dict[AssignmentsKey, TrialRecord] = {}
    played = []
    while (suggestion := suggestions.next(observed)) is not None:
        name, assignments = suggestion
        record = measure(len(played) + 1, assignments, sensitive)
        observed[assignments_key(assignments)] = record
        played.append((name, record))
    return played


@pytest.mark.parametrize("sensitive", [{28}, {0, 28}, {13}, {2, 3, 27}, {5, 6, 7, 8}])
def test_sensitive_ops_are_found_in_few_trials(sensitive: set[int]) -> None:
    played = play(InitialSuggestions(space(29)), sensitive)
    feasible = [record for _, record in played if record.meets_bound]
    best = min(feasible, key=lambda record: record.latency_seconds or 0.0)
    out = {int(name[2:]) for name, value in best.assignments.items() if value != "int8"}
    assert out == sensitive
    # Testing the 29 ops one by one would take 29 trials beside the four of the start.
    assert len(played) <= 12 + 5 * len(sensitive)


def test_nothing_is_tried_twice() -> None:
    played = play(InitialSuggestions(space(29)), {3, 27})
    keys = [assignments_key(record.assignments) for _, record in played]
    assert len(set(keys)) == len(keys)


def test_a_default_that_meets_the_bound_needs_no_search_back() -> None:
    names = [name for name, _ in play(InitialSuggestions(space(29)), set())]
    assert names == ["default int8", "last layers in bf16"]


def test_starts_with_the_default() -> None:
    name, assignments = InitialSuggestions(space(5)).next({}) or ("", {})
    assert name == "default int8"
    assert set(assignments.values()) == {"int8"}


def test_goes_on_where_another_process_stopped() -> None:
    sensitive = {3, 27}
    whole = play(InitialSuggestions(space(29)), sensitive)
    known = {assignments_key(r.assignments): r for _, r in whole[:7]}
    assert InitialSuggestions(space(29)).next(known) == (
        whole[7][0],
        dict(whole[7][1].assignments),
    )


def test_ends_when_nothing_meets_the_bound() -> None:
    suggestions = InitialSuggestions(space(8))
    observed: dict[AssignmentsKey, TrialRecord] = {}
    for number in range(1, 20):
        suggestion = suggestions.next(observed)
        if suggestion is None:
            break
        failed = TrialRecord(number, TrialState.FAILED, assignments=suggestion[1])
        observed[assignments_key(suggestion[1])] = failed
    assert number == 5  # default, last layers, fp32, bf16, and then the sampler


def test_without_bf16() -> None:
    played = play(InitialSuggestions(space(9, ("int8", "fp32"))), {4})
    assert all(v != "bf16" for _, record in played for v in record.assignments.values())
    assert not any("bf16" in name for name, _ in played)
    assert played[1][0] == "last layers in fp32"


def test_without_any_floating_point_type_only_the_default_is_known() -> None:
    suggestions = InitialSuggestions(space(9, ("int8", "int8-kl")))
    played = play(suggestions, {4})
    assert [name for name, _ in played] == ["default int8"]


@pytest.mark.parametrize("ops", [1, 2, 3, 5])
def test_small_models(ops: int) -> None:
    assert play(InitialSuggestions(space(ops)), {0})[0][0] == "default int8"
