"""A worker process whose trials are a sleep: what of its time is lost for others than trials."""

from __future__ import annotations

import dataclasses
import random
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.research.parallel.workload import Workload
from nc_sigopt_strategy.client.connections import open_connections
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import RENEWALS_PER_LEASE, LeaseKeeper, Worker
from nc_sigopt_strategy.experiments.opening import join_experiment
from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_history import TrialHistory
from nc_sigopt_strategy.settings.address import parse_address
from nc_sigopt_strategy.settings.choices import LOCAL, SERVER
from nc_sigopt_strategy.settings.secret import Secret
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.trial_source import TrialSource

# How workers share an experiment: a database that all reach; a server that records what each
# one's own sampler proposes; a server that suggests.
DATABASE, RECORDING, SUGGESTING = "PostgreSQL", "server records", "server suggests"
WAYS = (DATABASE, RECORDING, SUGGESTING)
# Never used up.
BUDGET = 1_000_000
_SPREAD = 0.2
_START_SECONDS = 400.0


@dataclass(frozen=True)
class Assignment:
    """What a worker works on and how long.

    Attributes:
        way: One of ``WAYS``.
        where: URL of the database or of the server.
        token: For the server.
        experiment: Id.
        parameters: Of the experiment.
        name: The worker's.
        folder: For its local store.
        workers: How many there are.
        trial_seconds: Mean length of the sleep that stands for a trial; it varies by a fifth.
        seconds: How long it begins new trials.
        seed: Of the lengths. The sampler's seed is the same for all, as in the strategy.
    """

    way: str
    where: str
    token: str
    experiment: str
    parameters: int
    name: str
    folder: Path
    workers: int
    trial_seconds: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Cost:
    """What one trial cost its worker beside the sleep, in milliseconds.

    Attributes:
        ask: From the end of the trial before until the suggestion was this worker's.
        observe: Until the observation was stored.
        late: By how much the sleep was longer than ordered: the machine had no core free.
        tries: Suggestions that were opened, those included that gave way to another worker's.
        cpu: Processor time of the worker's own process, sampler included.
        shared: How long requests to what is shared took, a part of ``ask`` and ``observe``.
        requests: How many those were.
    """

    ask: float
    observe: float
    late: float
    tries: int
    cpu: float
    shared: float
    requests: int

    @property
    def lost(self) -> float:
        """All of it."""
        return self.ask + self.observe + self.late


def work(given: Assignment, ready: Barrier, answers: Connection) -> None:
    """Join the experiment, wait for all others, then work; sends the costs or what went wrong."""
    try:
        worker = _SleepingWorker(given)
        ready.wait(_START_SECONDS)
        answers.send(worker.run())
    except Exception as error:
        ready.abort()
        answers.send(f"{given.name}: {type(error).__name__}: {error}")
    finally:
        answers.close()


class _SleepingWorker:
    """The loop of ``TuningRun`` with a sleep in place of the model."""

    def __init__(self, given: Assignment) -> None:
        self._given = given
        self._workload = Workload(given.parameters)
        worker = Worker(given.name)
        connections = open_connections(_settings(given), seed=0)
        reached = connections.local if given.way == DATABASE else connections.remote
        self._counted = _Counted(reached.impl.driver)
        reached.impl.driver = self._counted
        self._experiment: Experiment = join_experiment(
            connections, given.experiment, worker, server_suggests=given.way == SUGGESTING
        )
        self._history = TrialHistory(self._workload.default, self._experiment.trials())
        self._source = TrialSource(
            self._experiment, self._history, self._workload.seeds(), "quantization", worker
        )
        self._source.look_around()
        self._lease = LeaseKeeper(
            self._experiment.renew, worker.lease_seconds / RENEWALS_PER_LEASE
        )
        self._random = random.Random(given.seed)

    def run(self) -> list[Cost]:
        """Costs of all trials but the first, with which caches fill."""
        # Workers that are at it for a while do not ask in step.
        time.sleep(self._random.uniform(0, self._given.trial_seconds))
        deadline = time.monotonic() + self._given.seconds
        costs: list[Cost] = []
        while time.monotonic() < deadline or len(costs) < 2:
            costs.append(self._trial())
        self._lease.close()
        return costs[1:]

    def _trial(self) -> Cost:
        requests, shared = self._counted.requests, self._counted.seconds
        cpu = time.process_time()
        begun = time.monotonic()
        trial, tries = self._open()
        asked = time.monotonic()
        length = self._given.trial_seconds * self._random.uniform(1 - _SPREAD, 1 + _SPREAD)
        time.sleep(length)
        measured = time.monotonic()
        self._lease.let_go()
        record = self._workload.record(trial.number, trial.assignments, trial.origin)
        record = record.with_suggestion(trial.suggestion_id)
        observation_id = self._experiment.observe(record)
        self._history.add(dataclasses.replace(record, observation_id=observation_id), None)
        observed = time.monotonic()
        return Cost(
            ask=1e3 * (asked - begun),
            observe=1e3 * (observed - measured),
            late=1e3 * (measured - asked - length),
            tries=tries,
            cpu=1e3 * (time.process_time() - cpu),
            shared=1e3 * (self._counted.seconds - shared),
            requests=self._counted.requests - requests,
        )

    def _open(self) -> tuple[Suggestion, int]:
        tries = 0
        while True:
            self._source.look_around()
            tries += 1
            trial = self._source.open_next(BUDGET, first=False)
            if trial is not None:
                self._lease.hold(trial.suggestion_id)
                return trial, tries


class _Counted:
    """A driver that counts its requests and their time."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.requests = 0
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def request(self, *args: Any) -> Any:
        begun = time.monotonic()
        try:
            return self._driver.request(*args)
        finally:
            self.requests += 1
            self.seconds += time.monotonic() - begun


def _settings(given: Assignment) -> Settings:
    if given.way == DATABASE:
        return Settings(storage=given.where, parallel_bandwidth=given.workers)
    return Settings(
        sigopt_api_token=Secret(given.token),
        sigopt_api_url=parse_address(given.where),
        # Of an experiment that is there; so no project is looked for.
        sigopt_experiment_id=given.experiment,
        storage=f"sqlite:///{given.folder / given.name}.db",
        suggestions=SERVER if given.way == SUGGESTING else LOCAL,
        parallel_bandwidth=given.workers,
    )
