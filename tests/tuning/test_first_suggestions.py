"""The first suggestions."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions

VALUES = ("int8", "bf16", "fp32")


def suggestions(
    ops: int,
    values: tuple[str, ...] = VALUES,
    *,
    whole_front: bool = False,
    native_float: str = "fp32",
) -> InitialSuggestions:
    parameters = [Parameter(f"op{i:02d}", ((f"op{i}", "conv2d"),), values) for i in range(ops)]
    default = {p.name: "int8" for p in parameters}
    return InitialSuggestions(
        parameters, default, whole_front=whole_front, native_float=native_float
    )


def measured(assignments: Mapping[str, str], *, met: bool) -> TrialRecord:
    return TrialRecord(
        1, TrialState.OBSERVED, assignments=dict(assignments), accuracy=0.9, meets_bound=met
    )


def play(plan: InitialSuggestions, *, met: bool = False) -> list[tuple[str, dict[str, str]]]:
    observed: dict[AssignmentsKey, TrialRecord] = {}
    played = []
    while (suggestion := plan.next(observed)) is not None:
        played.append(suggestion)
        observed[assignments_key(suggestion[1])] = measured(suggestion[1], met=met)
    return played


def test_four_configurations_bracket_the_answer() -> None:
    played = play(suggestions(29))
    assert [name for name, _ in played] == [
        "default int8",
        "last layers in bf16",
        "all ops in fp32",
        "all ops in bf16",
    ]
    default, last, fp32, bf16 = (assignments for _, assignments in played)
    assert set(default.values()) == {"int8"}
    assert [name for name, value in last.items() if value == "bf16"] == ["op26", "op27", "op28"]
    assert set(fp32.values()) == {"fp32"}
    assert set(bf16.values()) == {"bf16"}


def test_when_the_default_meets_the_bound_the_slow_ones_are_left_out() -> None:
    names = [name for name, _ in play(suggestions(29), met=True)]
    assert names == ["default int8", "last layers in bf16"]


def test_what_a_runtime_runs_unasked_is_tried_even_then() -> None:
    names = [name for name, _ in play(suggestions(29, native_float="bf16"), met=True)]
    assert names == ["default int8", "last layers in bf16", "all ops in bf16"]
    played = play(suggestions(29, native_float="bf16"))
    assert sorted(name for name, _ in played) == sorted(name for name, _ in play(suggestions(29)))
    without = play(suggestions(29, ("int8", "fp32"), native_float="bf16"), met=True)
    assert [name for name, _ in without] == ["default int8", "last layers in fp32"]


def test_a_front_wants_the_slow_ones_too() -> None:
    assert len(play(suggestions(29, whole_front=True), met=True)) == 4


def test_a_continued_run_goes_on_where_it_was() -> None:
    plan = suggestions(5)
    whole = play(plan)
    known = {assignments_key(a): measured(a, met=False) for _, a in whole[:2]}
    assert suggestions(5).next(known) == whole[2]


def test_a_failed_default_is_not_asked_for_again() -> None:
    _, default = suggestions(5).next({}) or ("", {})
    failed = TrialRecord(1, TrialState.FAILED, assignments=default, failure="no kernel")
    following = suggestions(5).next({assignments_key(default): failed})
    assert following is not None
    assert following[0] == "last layers in bf16"


@pytest.mark.parametrize(("values", "count"), [(("int8", "fp32"), 3), (("int8", "int8-kl"), 1)])
def test_types_that_an_op_lacks(values: tuple[str, ...], count: int) -> None:
    """Without bf16 fp32 stands in; without either the default is all there is."""
    played = play(suggestions(9, values))
    assert len(played) == count
    assert len({assignments_key(assignments) for _, assignments in played}) == count
