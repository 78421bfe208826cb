"""Workers on one experiment: nothing twice, nothing left, the budget to the trial."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SuggestionLostError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Lease, Worker
from nc_sigopt_strategy.experiments.opening import create_on, join_on
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.space.assignments import assignments_key
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.testing.fake_clock import FakeClock
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions
from nc_sigopt_strategy.tuning.trial_source import TrialSource
from tests.experiments.measured import measured

VALUES = ("int8", "bf16", "fp32")
SPACE = {f"p{i}": VALUES for i in range(5)}
DEFAULT = dict.fromkeys(SPACE, "int8")


def connect(folder: Path) -> Any:
    driver = EmbeddedDriver(f"sqlite:///{folder}/store.db", sampler="random")
    return sigopt.Connection(driver=lambda **_: driver)


def create(folder: Path, workers: int, budget: int = 20) -> str:
    definition = Definition(
        "run", None, SPACE, 0.5, True, False, budget, parallel_bandwidth=workers
    )
    return create_on(connect(folder), definition).id


def join(
    folder: Path, known: str, name: str, clock: Callable[[], float] = time.monotonic
) -> TrialSource:
    worker = Worker(name, 60.0, clock)
    experiment = join_on(connect(folder), known, worker)
    history = TrialHistory(DEFAULT, experiment.trials())
    parameters = [Parameter(n, ((n, "conv2d"),), VALUES) for n in SPACE]
    seeds = InitialSuggestions(parameters, DEFAULT, whole_front=True)
    return TrialSource(experiment, history, seeds, "random", worker)


def observe(source: TrialSource, trial: Suggestion) -> None:
    observation = source._experiment.observe(measured(trial))
    record = TrialRecord(**{**measured(trial).__dict__, "observation_id": observation})
    source._history.add(record, None)


def open_first(
    source: TrialSource, max_trials: int = 20, *, first: bool = False
) -> Suggestion | None:
    source.look_around()
    return source.open_next(max_trials, first=first)


def test_first_suggestions_are_shared_out(tmp_path: Path) -> None:
    known = create(tmp_path, 3)
    one, two, three = (join(tmp_path, known, name) for name in "abc")
    opened = [open_first(source) for source in (one, two, three)]
    origins = [trial.origin for trial in opened if trial is not None]
    assert origins == [
        "seed: default int8",
        "seed: last layers in bf16",
        "seed: all ops in fp32",
    ]
    assert three.others == 2


def test_nobody_measures_beside_the_first(tmp_path: Path) -> None:
    known = create(tmp_path, 2)
    one, two = join(tmp_path, known, "a"), join(tmp_path, known, "b")
    two.look_around()  # sees nobody yet
    trial = open_first(one, first=True)
    assert trial is not None
    assert two.open_next(20, first=True) is None
    assert len(one._experiment.open_suggestions()) == 1


def test_the_later_of_two_with_the_same_assignments_gives_way(tmp_path: Path) -> None:
    known = create(tmp_path, 2)
    one, two = join(tmp_path, known, "a"), join(tmp_path, known, "b")
    one.look_around()
    two.look_around()
    assert one.open_next(20, first=False) is not None
    assert two.open_next(20, first=False) is None
    two.look_around()
    again = two.open_next(20, first=False)
    assert again is not None
    assert again.origin == "seed: last layers in bf16"


def test_the_last_trial_of_the_budget_is_of_one_worker_only(tmp_path: Path) -> None:
    known = create(tmp_path, 3, budget=2)
    one, two, three = (join(tmp_path, known, name) for name in "abc")
    for source in (one, two, three):
        source.look_around()
    trial = one.open_next(2, first=False)
    assert trial is not None
    observe(one, trial)
    two.look_around()
    three.look_around()
    assert two.open_next(2, first=False) is not None
    assert three.open_next(2, first=False) is None


def test_what_a_worker_left_goes_to_one_other(tmp_path: Path) -> None:
    known = create(tmp_path, 3)
    one = join(tmp_path, known, "a")
    left = open_first(one)
    assert left is not None
    clock = FakeClock()
    two, three = (join(tmp_path, known, name, clock) for name in "bc")
    for _ in range(2):
        two.look_around()
        three.look_around()
        assert two.others == three.others == (0 if clock() else 1)
        clock.advance(61.0)
    found = two.open_next(20, first=False)
    assert found is not None
    assert found.assignments == left.assignments
    assert found.reruns == 1
    other = three.open_next(20, first=False)
    assert other is None or other.assignments != left.assignments
    with pytest.raises(SuggestionLostError, match="lease_seconds"):
        one._experiment.observe(measured(left))


def test_a_worker_takes_its_own_up_again(tmp_path: Path) -> None:
    known = create(tmp_path, 2)
    left = open_first(join(tmp_path, known, "a"))
    assert left is not None
    again = open_first(join(tmp_path, known, "a"))
    assert again is not None
    assert again.suggestion_id == left.suggestion_id
    assert again.reruns == 1
    assert Lease.from_metadata(again.metadata) is not None


@pytest.mark.parametrize("workers", [2, 8])
def test_many_workers_share_a_budget(tmp_path: Path, workers: int) -> None:
    budget = 30
    known = create(tmp_path, workers, budget)
    observed: list[Suggestion] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        generator = random.Random(number)
        try:
            source = join(tmp_path, known, f"worker-{number}")
            while True:
                source.look_around()
                if len(source._history.records) + source.others >= budget:
                    return
                trial = source.open_next(budget, first=False)
                if trial is None:
                    continue
                time.sleep(generator.random() * 0.02)
                observe(source, trial)
                observed.append(trial)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    experiment = join_on(connect(tmp_path), known)
    assert experiment.observed == budget
    assert experiment.open_suggestions() == []
    tried = [assignments_key(record.assignments) for record, _ in experiment.trials()]
    assert len(set(tried)) == budget
    assert len({trial.number for trial in observed}) == budget
