"""A run's experiment on a server whose sockets break: nothing is lost, nothing is doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.client.connections import open_connections
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import create_experiment, join_experiment, join_on
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.settings import Settings
from tests.faults.broken_server import BrokenServer, Fault
from tests.server.serving import serve_in_thread

SPACE = {f"p{i}": ("int8", "bf16", "fp32") for i in range(4)}
POSTS = {"suggestion": "suggestions$", "observation": "observations$", "any": None}


class Rig:
    """A worker, a server, and what is between them.

    Attributes:
        between: What breaks.
        clock: Seconds that the outbox believes to have passed.
    """

    def __init__(self, folder: Path, between: BrokenServer, token: str, direct: Any) -> None:
        self.between = between
        self.clock = 0.0
        self._direct = direct
        self._settings = Settings.from_kwargs(
            {
                "sigopt_api_token": token,
                "sigopt_api_url": between.url,
                "storage": f"sqlite:///{folder}/local.db",
                "sampler": "random",
            }
        )
        self.experiment: Any = create_experiment(
            open_connections(self._settings, seed=1),
            Definition("run", "nc-tune", SPACE, 0.5, True, False, 50),
            Worker("me"),
            clock=lambda: self.clock,
        )
        self.done = 0

    def break_with(self, fault: Fault, **which: Any) -> None:
        """Break what is between, without a long wait where no answer comes."""
        if fault in (Fault.HANG, Fault.TOO_MANY_REQUESTS):
            self.experiment.remote.connection.set_timeout(1.5)
        self.between.break_with(fault, **which)

    def archive(self, away: bool) -> None:
        """Archive the experiment on the server, or make it active again."""
        endpoint = self._direct.experiments(self.experiment.shown_id)
        if away:
            endpoint.delete()
        else:
            endpoint.update(state="active")
        self.clock += 1000.0

    def restart(self) -> None:
        """The process dies and another one goes on."""
        known = self.experiment.shown_id
        connections = open_connections(self._settings, seed=1)
        self.experiment = join_experiment(
            connections, known, Worker("me"), clock=lambda: self.clock
        )
        for trial in self.experiment.open_suggestions():
            self._finish(self.experiment.take_over(trial))

    def work(self, trials: int) -> None:
        for _ in range(trials):
            self._finish(self.experiment.suggest(self.done + 1, origin="sampler: random"))

    def check(self) -> None:
        """Once the server has been mended: what is here is there, once."""
        self.between.mend()
        self.clock += 1000.0
        # The server answers from now on, on a busy machine perhaps late.
        self.experiment.remote.connection.set_timeout(60)
        self.experiment.flush(0.0)
        assert self.experiment.missed_updates == 0
        here = [record for record, _ in self.experiment.trials()]
        there = join_on(self._direct, self.experiment.shown_id)
        assert len(here) == self.done
        assert [_key(r) for r in here] == [_key(r) for r, _ in there.trials()]
        assert there.open_suggestions() == []
        assert len(there.suggestions()) == self.done

    def _finish(self, trial: Suggestion) -> None:
        self.done += 1
        failed = self.done % 5 == 0
        values: dict[str, Any] = {"failure": "no kernel"}
        if not failed:
            values = {"accuracy": 0.9, "latency_seconds": self.done / 100, "duration_seconds": 1.0}
        self.experiment.observe(
            TrialRecord(
                self.done,
                TrialState.FAILED if failed else TrialState.OBSERVED,
                origin=trial.origin,
                assignments=trial.assignments,
                suggestion_id=trial.suggestion_id,
                **values,
            )
        )


def _key(record: TrialRecord) -> tuple[Any, ...]:
    return (
        record.number,
        record.state,
        record.latency_seconds,
        record.failure,
        sorted(record.assignments.items()),
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.db", seed=1)
    direct = sigopt.Connection(driver=lambda **_: driver)
    # The server's ids are not by chance the local ones.
    direct.experiments().create(
        name="other", parameters=[{"name": "a", "type": "int", "bounds": {"min": 0, "max": 9}}]
    )
    with serve_in_thread(driver) as (url, token), BrokenServer(url) as between:
        yield Rig(tmp_path, between, token, direct)
    driver.close()


# Whoever says 429 has not served the request, which is why the client repeats it.
_EACH = [
    pytest.param(fault, stored, what, id=f"{fault.name}-{what}-{'stored' if stored else 'lost'}")
    for fault in Fault
    if fault is not Fault.REFUSE
    for what, stored in [
        ("suggestion", False),
        ("observation", False),
        ("any", False),
        *(
            []
            if fault is Fault.TOO_MANY_REQUESTS
            else [("suggestion", True), ("observation", True)]
        ),
    ]
]


@pytest.mark.parametrize(("fault", "stored", "what"), _EACH)
def test_each_fault(rig: Rig, fault: Fault, stored: bool, what: str) -> None:
    rig.work(1)
    if what == "any":
        rig.break_with(fault, stored=stored)
    else:
        rig.break_with(fault, method="POST", path=POSTS[what], stored=stored)
    rig.work(2)
    assert rig.experiment.missed_updates > 0
    rig.between.mend()
    rig.clock += 1000.0
    rig.work(1)
    rig.check()


def test_closed_port(rig: Rig) -> None:
    rig.work(2)
    rig.break_with(Fault.REFUSE)
    rig.work(3)
    assert rig.experiment.missed_updates == 3
    rig.check()


def test_what_an_archived_experiment_refuses_is_kept(rig: Rig) -> None:
    """Somebody archives the experiment in mid-run: until it is active again, nothing is lost."""
    rig.work(2)
    rig.archive(True)
    rig.work(3)
    assert rig.experiment.missed_updates == 3
    rig.archive(False)
    rig.check()


def test_what_was_kept_survives_the_process(rig: Rig) -> None:
    rig.work(2)
    rig.archive(True)
    rig.work(2)
    rig.archive(False)
    rig.restart()
    rig.check()


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.HTML, Fault.UNAVAILABLE], ids=lambda f: f.name
)
@pytest.mark.parametrize("stored", [False, True], ids=["lost", "stored"])
@pytest.mark.parametrize("what", ["suggestion", "observation"])
def test_the_process_dies_before_the_server_is_back(
    rig: Rig, fault: Fault, stored: bool, what: str
) -> None:
    rig.work(1)
    rig.break_with(fault, method="POST", path=POSTS[what], stored=stored)
    rig.work(2)
    rig.experiment.suggest(rig.done + 1, origin="sampler: random")
    rig.between.mend()
    rig.restart()
    rig.check()


@pytest.mark.parametrize("seed", range(3))
def test_faults_at_random(rig: Rig, seed: int) -> None:
    """Everything breaks at any time, the process dies now and then, and the end is right."""
    generator = random.Random(seed)
    faults = [fault for fault in Fault if fault not in (Fault.REFUSE, Fault.HANG)]
    for _ in range(25):
        rig.between.mend()
        for _ in range(generator.randrange(3)):
            fault = generator.choice(faults)
            stored = fault is not Fault.TOO_MANY_REQUESTS and generator.random() < 0.5
            rig.break_with(
                fault,
                method=generator.choice(["GET", "POST", "POST", None]),
                count=generator.randrange(1, 4),
                stored=stored,
            )
        if generator.random() < 0.1:
            rig.between.mend()
            rig.restart()
        rig.clock += generator.choice([0.0, 0.5, 3.0, 100.0])
        rig.work(1)
    rig.check()


def test_the_clients_throttle_keeps_nobody_waiting(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    # Of the client alone: other threads here sleep, too.
    monkeypatch.setattr("sigopt.ratelimit.time", SimpleNamespace(sleep=slept.append))
    rig.break_with(Fault.UNAVAILABLE)
    for _ in range(12):
        rig.clock += 1000.0
        rig.work(1)
    assert slept == []
    rig.check()
