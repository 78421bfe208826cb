"""Trials that a worker left, on a server where deleting a suggestion is as on SigOpt's own.

There, several who delete one suggestion at the same moment may all be told that it is done, and an
observed suggestion is deleted like an open one: it is hidden, its observation stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import create_on, join_on
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from nc_sigopt_strategy.experiments.suggestion import RECLAIMS, Suggestion
from tests.experiments.measured import measured

SPACE = {"a": ("int8", "fp32"), "b": ("int8", "fp32")}


class SharedDeletes:
    """The engine, which tells everybody that a suggestion is deleted."""

    def __init__(self, driver: EmbeddedDriver) -> None:
        self._driver = driver

    def request(self, method: str, path: Any, data: Any, headers: Any) -> Any:
        if method == "DELETE" and path[-2] == "suggestions":
            with contextlib.suppress(ApiError):
                self._driver.answer(method, path, {})
            return {}
        return self._driver.request(method, path, data, headers)


@pytest.fixture
def workers() -> Iterator[list[SigOptExperiment]]:
    """Four workers on one experiment."""
    engine = EmbeddedDriver("sqlite://", seed=1, sampler="random")
    connection = sigopt.Connection(driver=lambda **_: SharedDeletes(engine))
    made = create_on(
        connection, Definition("run", None, SPACE, 0.5, True, False, 9, parallel_bandwidth=4)
    )
    yield [join_on(connection, made.id, Worker(f"w{index}")) for index in range(4)]
    engine.close()


def _made_in_place_of(worker: SigOptExperiment, left: Suggestion) -> Suggestion:
    return worker.suggest(
        1,
        assignments=left.assignments,
        origin=left.origin,
        reruns=left.reruns + 1,
        metadata={RECLAIMS: left.suggestion_id},
    )


@pytest.mark.parametrize("fast", [False, True], ids=["all at work", "one is done already"])
def test_of_several_that_take_a_trial_up_one_runs_it(
    workers: list[SigOptExperiment], fast: bool
) -> None:
    gone, *others = workers
    left = gone.suggest(1, origin="t")
    assert all(worker.reclaim(left) for worker in others)
    trials = [_made_in_place_of(worker, left) for worker in others]
    first = others[0].place_of(trials[0])
    assert not first.taken
    if fast:
        # Before the others have looked around: the trial is not open any more.
        others[0].observe(measured(trials[0]))
    assert [w.place_of(t).taken for w, t in zip(others[1:], trials[1:], strict=True)] == [True] * 2


def test_what_was_observed_at_the_last_moment_is_not_run_again(
    workers: list[SigOptExperiment],
) -> None:
    slow, other = workers[:2]
    left = slow.suggest(1, origin="t")
    slow.observe(measured(left))
    assert not other.reclaim(left)


def test_a_trial_that_is_left_twice_is_taken_up_twice(workers: list[SigOptExperiment]) -> None:
    left = workers[0].suggest(1, origin="t")
    for worker in workers[1:]:
        assert worker.reclaim(left)
        taken = _made_in_place_of(worker, left)
        assert not worker.place_of(taken).taken
        left = next(s for s in worker.suggestions() if s.suggestion_id == taken.suggestion_id)
    assert left.reruns == 3
