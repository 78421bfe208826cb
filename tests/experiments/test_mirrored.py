"""A local store and a server that fails: tuning goes on, nothing is lost, nothing is doubled.

The server is an engine in this process, so that a fault can be put before a request (it is lost)
or after it (its answer is). ``tests/faults`` breaks real sockets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sigopt
from sigopt.exception import ApiException, ConnectionException

from nc_sigopt_strategy.client.checked_driver import CheckedDriver
from nc_sigopt_strategy.client.connections import Connections
from nc_sigopt_strategy.client.server import Server
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.mirrored import MirroredExperiment
from nc_sigopt_strategy.experiments.opening import create_experiment, join_experiment, join_on
from nc_sigopt_strategy.experiments.record import ExperimentRecord, Reference
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.address import parse_address
from tests.conftest import logged

URL = "https://sigopt.test"
SPACE = {f"p{i}": ("int8", "bf16", "fp32") for i in range(4)}
Fault = Callable[[], None]


class FlakyDriver:
    """The server's engine, with faults before or after its requests."""

    def __init__(self, driver: EmbeddedDriver) -> None:
        self.driver = driver
        self.before: Fault | None = None
        self.after: Fault | None = None
        self.only: str | None = None
        self.answer: Any = None
        self.count = 0

    def request(self, method: str, path: Any, data: Any, headers: Any) -> Any:
        self.count += 1
        hit = self.only is None or f"{method} {path[-1]}" == self.only
        if hit and self.before is not None:
            self.before()
        found = self.driver.request(method, path, data, headers)
        if hit and self.after is not None:
            self.after()
        return found if self.answer is None or not hit else self.answer

    def break_with(self, error: Exception, only: str | None, *, answer_is_lost: bool) -> None:
        """Fail requests, or those of one kind: before they are served, or after."""
        self.only = only
        if answer_is_lost:
            self.after = failing(error)
        else:
            self.before = failing(error)

    def mend(self) -> None:
        self.before = self.after = self.only = self.answer = None


class Rig:
    """A worker's local store, and a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = FlakyDriver(EmbeddedDriver(f"sqlite:///{folder}/server.db", seed=1))
        self.connection = sigopt.Connection(driver=lambda **_: self.server)
        # The server counts on, so that its ids are not by chance the local ones.
        for _ in range(3):
            self.connection.experiments().create(
                name="other",
                parameters=[{"name": "a", "type": "int", "bounds": {"min": 0, "max": 9}}],
            )
        self.clock = 0.0

    def local(self, name: str = "me") -> Any:
        driver = EmbeddedDriver(f"sqlite:///{self.folder}/{name}.db", seed=1, sampler="random")
        return sigopt.Connection(driver=lambda **_: driver)

    def remote(self) -> Any:
        return sigopt.Connection(driver=lambda **_: CheckedDriver(self.server))

    def connections(self, name: str) -> Connections:
        address = parse_address(URL)
        assert address is not None
        return Connections(self.local(name), Server(self.remote(), address, is_ours=True))

    def create(
        self,
        name: str = "me",
        budget: int = 20,
        definition: Definition | None = None,
        **options: Any,
    ) -> MirroredExperiment:
        record = ExperimentRecord(identity={"a": "b"})
        made = create_experiment(
            self.connections(name),
            definition or Definition("run", None, SPACE, 0.5, True, False, budget, record),
            Worker(name),
            clock=lambda: self.clock,
            **options,
        )
        assert isinstance(made, MirroredExperiment)
        return made

    def join(self, known: str, name: str = "me", **options: Any) -> MirroredExperiment:
        made = join_experiment(
            self.connections(name), known, Worker(name), clock=lambda: self.clock, **options
        )
        assert isinstance(made, MirroredExperiment)
        return made

    def later(self) -> None:
        self.clock += 1000.0

    def on_server(self, known: str) -> list[TrialRecord]:
        self.server.mend()
        return [record for record, _ in join_on(self.connection, known).trials()]

    def open_on_server(self, known: str) -> list[Suggestion]:
        return join_on(self.connection, known).open_suggestions()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def measured(trial: Suggestion, latency: float = 0.5, **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "state": TrialState.OBSERVED,
        "accuracy": 0.9,
        "latency_seconds": latency,
        "duration_seconds": 1.0,
        "origin": trial.origin,
        "assignments": trial.assignments,
        "suggestion_id": trial.suggestion_id,
        **changes,
    }
    return TrialRecord(trial.number, **values)


def work(experiment: MirroredExperiment, trials: int, first: int = 1) -> None:
    for number in range(first, first + trials):
        trial = experiment.suggest(number, origin="sampler: random")
        experiment.observe(measured(trial, number / 100))


def failing(error: Exception) -> Fault:
    def fault() -> None:
        raise error

    return fault


LOST = ConnectionException("no route to host")
FAULTS = [LOST, *(ApiException({"message": "no"}, status) for status in (429, 500, 503, 403, 404))]


def same_on_both(rig: Rig, experiment: MirroredExperiment, trials: int) -> None:
    here = [record for record, _ in experiment.trials()]
    there = rig.on_server(experiment.shown_id)
    assert len(here) == trials
    key = lambda record: (record.latency_seconds or 0.0, sorted(record.assignments.items()))  # noqa: E731
    assert sorted(map(key, here)) == sorted(map(key, there))
    assert rig.open_on_server(experiment.shown_id) == []


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("only", ["POST suggestions", "POST observations", None])
@pytest.mark.parametrize("answer_is_lost", [False, True])
def test_nothing_is_lost_and_nothing_doubled(
    rig: Rig, fault: Exception, only: str | None, answer_is_lost: bool
) -> None:
    experiment = rig.create()
    work(experiment, 2)
    rig.server.break_with(fault, only, answer_is_lost=answer_is_lost)
    work(experiment, 3, first=3)
    assert experiment.missed_updates > 0
    rig.server.mend()
    rig.later()
    work(experiment, 2, first=6)
    assert experiment.missed_updates == 0
    same_on_both(rig, experiment, 7)


@pytest.mark.parametrize(
    "answer", [{"message": "<html>Welcome</html>"}, {}, {"object": "suggestion"}, []]
)
def test_an_answer_that_is_none(rig: Rig, answer: Any) -> None:
    experiment = rig.create()
    work(experiment, 1)
    rig.server.answer = answer
    work(experiment, 2, first=2)
    assert experiment.missed_updates == 2
    rig.server.mend()
    rig.later()
    work(experiment, 1, first=4)
    same_on_both(rig, experiment, 4)


def test_a_server_that_is_away_is_left_alone_for_a_while(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nc_sigopt_strategy.hosts.inc.registration.logger.propagate", True)
    experiment = rig.create()
    rig.server.before = failing(LOST)
    before = rig.server.count
    work(experiment, 10)
    assert rig.server.count - before <= 2
    assert experiment.missed_updates == 10
    assert sum("does not take an update" in message for message in logged(caplog)) == 1
    experiment.flush(0.0)
    assert experiment.missed_updates == 10
    rig.server.mend()
    experiment.flush(0.0)
    assert experiment.missed_updates == 0
    same_on_both(rig, experiment, 10)


@pytest.mark.parametrize("answer_is_lost", [False, True])
@pytest.mark.parametrize("only", ["POST suggestions", "POST observations"])
def test_what_a_process_could_not_post_the_next_one_posts(
    rig: Rig, only: str, answer_is_lost: bool
) -> None:
    experiment = rig.create()
    work(experiment, 2)
    rig.server.break_with(LOST, only, answer_is_lost=answer_is_lost)
    work(experiment, 2, first=3)
    rig.server.mend()  # the process ends here, without a word
    again = rig.join(experiment.shown_id)
    assert again.id == experiment.id
    assert again.missed_updates == 0
    same_on_both(rig, again, 4)


def test_an_open_suggestion_is_taken_up_by_the_next_process(rig: Rig) -> None:
    experiment = rig.create()
    work(experiment, 1)
    trial = experiment.suggest(2, origin="sampler: random")
    again = rig.join(experiment.shown_id)
    (left,) = again.open_suggestions()
    assert left.assignments == trial.assignments
    taken = again.take_over(left)
    assert taken.reruns == 1
    again.observe(measured(taken))
    same_on_both(rig, again, 2)


def test_taken_back_here_is_taken_back_there(rig: Rig) -> None:
    experiment = rig.create()
    trial = experiment.suggest(1, origin="sampler: random")
    assert len(rig.open_on_server(experiment.shown_id)) == 1
    assert experiment.withdraw(trial)
    assert not experiment.withdraw(trial)
    assert rig.open_on_server(experiment.shown_id) == []
    assert experiment.missed_updates == 0


def test_what_the_server_refuses_is_kept_here_and_the_rest_goes_on(rig: Rig) -> None:
    experiment = rig.create()
    rig.server.only = "POST observations"
    rig.server.before = failing(ApiException({"message": "I do not like it"}, 400))
    work(experiment, 1)
    assert experiment.missed_updates == 1
    rig.server.mend()
    work(experiment, 1, first=2)
    assert experiment.missed_updates == 1
    assert len(rig.on_server(experiment.shown_id)) == 1
    assert len(experiment.trials()) == 2


def test_two_workers_with_stores_of_their_own_know_all_trials(rig: Rig) -> None:
    one = rig.create("one")
    reference = Reference("default", 0.25)
    one.write_record(dataclasses.replace(one.read_record(), reference=reference))
    other = rig.join(one.shown_id, "other")
    one.share_among(2)
    seen_by_one: set[str] = set()
    for turn in range(6):
        worker, watcher = (one, other) if turn % 2 else (other, one)
        trial = worker.suggest(0, origin="sampler: random")
        assert worker.place_of(trial).ahead == 0
        assert [t.assignments for t in watcher.open_suggestions()] == [trial.assignments]
        worker.observe(measured(trial, (turn + 1) / 100))
        known = {str(r.observation_id) for r, _ in watcher.trials()}
        news = watcher.news(known)
        assert [r.latency_seconds for r, _ in news] == [(turn + 1) / 100]
        seen_by_one |= {str(r.observation_id) for r, _ in news}
    for worker in (one, other):
        records = [record for record, _ in worker.trials()]
        assert [record.number for record in records] == [1, 2, 3, 4, 5, 6]
        assert sorted(r.latency_seconds or 0.0 for r in records) == [
            (turn + 1) / 100 for turn in range(6)
        ]
        assert worker.news({str(r.observation_id) for r in records}) == []
    assert other.read_record().reference == reference
    assert other.is_shared
    assert len(rig.on_server(one.shown_id)) == 6


def test_what_others_have_open_is_not_proposed(rig: Rig) -> None:
    """With four combinations in all, a sampler that knew nothing would meet the others' soon."""
    definition = Definition(
        "run", None, {"a": ("int8", "fp32"), "b": ("int8", "fp32")}, 0.5, True, False, 9,
        parallel_bandwidth=2,
    )  # fmt: skip
    one = rig.create("one", definition=definition)
    other = rig.join(one.shown_id, "other")
    taken = [one.suggest(0, origin="sampler: random") for _ in range(2)]
    other.news(())
    other.open_suggestions()  # as a worker looks around
    proposed = [other.suggest(0, origin="sampler: random") for _ in range(2)]
    every = {tuple(sorted(trial.assignments.items())) for trial in [*taken, *proposed]}
    assert len(every) == 4
    one.withdraw(taken[0])
    one.observe(measured(taken[1]))
    (record,) = [record for record, _ in other.news(())]
    assert record.assignments == taken[1].assignments
    other.open_suggestions()
    again = other.suggest(0, origin="sampler: random")
    assert again.assignments == taken[0].assignments
    assert len(other.open_suggestions()) == 3
    # The next process of the same worker finds all that as it was.
    restarted = rig.join(one.shown_id, "other")
    assert len(restarted.open_suggestions()) == 3
    assert [r.assignments for r, _ in restarted.trials()] == [taken[1].assignments]


def test_repeats_of_others_keep_their_original(rig: Rig) -> None:
    one = rig.create("one")
    other = rig.join(one.shown_id, "other")
    work(other, 1)
    assert len(one.news(())) == 1
    work(one, 1, first=2)
    trial = one.suggest(3, origin="sampler: random")
    one.observe(measured(trial, 2 / 100, duplicate_of=2))
    records = [record for record, _ in other.news({"x"})]
    doubles = [record for record in records if record.duplicate_of is not None]
    assert len(doubles) == 1
    original = next(r for r in records if r.number == doubles[0].duplicate_of)
    assert original.latency_seconds == doubles[0].latency_seconds == 2 / 100


def test_another_workers_suggestion_is_reclaimed_by_one_only(rig: Rig) -> None:
    one = rig.create("one")
    one.suggest(1, origin="sampler: random")
    two, three = rig.join(one.shown_id, "two"), rig.join(one.shown_id, "three")
    (left,) = two.open_suggestions()
    (same,) = three.open_suggestions()
    assert two.reclaim(left)
    assert not three.reclaim(same)
    # Nor does the local sampler go on believing that somebody is at it.
    assert two.local.open_suggestions() == []


def test_the_servers_suggestions(rig: Rig) -> None:
    experiment = rig.create(server_suggests=True)
    trial = experiment.suggest(1, origin="sampler: random")
    (there,) = rig.open_on_server(experiment.shown_id)
    assert trial.assignments == there.assignments
    assert trial.origin == "server"
    experiment.observe(measured(trial))
    rig.server.before = failing(LOST)
    alone = experiment.suggest(2, origin="sampler: random")
    assert alone.origin == "sampler: random"
    experiment.observe(measured(alone))
    rig.server.mend()
    rig.later()
    assert experiment.suggest(3, origin="x").origin == "server"
    assert len(rig.on_server(experiment.shown_id)) == 2


def test_a_suggestion_of_the_servers_whose_answer_was_lost_is_taken_back(rig: Rig) -> None:
    experiment = rig.create(server_suggests=True)
    rig.server.only, rig.server.after = "POST suggestions", failing(LOST)
    trial = experiment.suggest(1, origin="sampler: random")
    assert len(rig.open_on_server(experiment.shown_id)) == 1
    rig.server.mend()
    rig.later()
    experiment.observe(measured(trial))
    same_on_both(rig, experiment, 1)


def test_renewing_reaches_the_server(rig: Rig) -> None:
    experiment = rig.create()
    trial = experiment.suggest(1, origin="sampler: random")
    (before,) = rig.open_on_server(experiment.shown_id)
    experiment.renew(trial.suggestion_id)
    (after,) = rig.open_on_server(experiment.shown_id)
    assert before.lease is not None
    assert after.lease is not None
    assert after.lease.expires > before.lease.expires
    assert after.metadata["key"] == before.metadata["key"]
