"""Worker processes beside each other on one experiment, for every number and way that is asked."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL
from nc_sigopt_benchmarks.research.parallel.serving import ServerDiedError, Serving
from nc_sigopt_benchmarks.research.parallel.sleeping_worker import (
    BUDGET,
    DATABASE,
    Assignment,
    Cost,
    work,
)
from nc_sigopt_benchmarks.research.parallel.workload import Workload
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.experiments.opening import create_on

_PRELOAD = [
    "nc_sigopt_benchmarks.research.parallel.sleeping_worker",
    "optuna.storages",
    "nc_sigopt_strategy.sampling.quantization.sampler",
]
# A trial that is not answered for so long hangs.
_PATIENCE_SECONDS = 300.0


class WorkerFailedError(SigOptStrategyError):
    """A worker of the benchmark failed."""


@dataclass(frozen=True)
class Setting:
    """One run: so many workers, one way of sharing the experiment.

    Attributes:
        way: See ``sleeping_worker.WAYS``.
        parameters: Of the experiment.
        workers: Processes.
        trial_seconds: Mean length of the sleep that stands for a trial.
    """

    way: str
    parameters: int
    workers: int
    trial_seconds: float


@dataclass(frozen=True)
class Run:
    """What a setting cost.

    Attributes:
        setting: Which.
        repeat: From 0.
        observations: That the experiment held at the end.
        busy: Share of the machine's processors that was in use, 0 to 1.
        load: Load average over a minute before the run: what others did.
        costs: Of all workers' trials.
        error: Why there are none; "" if there are.
    """

    setting: Setting
    repeat: int
    observations: int
    busy: float
    load: float
    costs: tuple[Cost, ...]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Run:
        """The inverse of ``to_json``."""
        costs = tuple(Cost(**cost) for cost in raw["costs"])
        return cls(**{**raw, "setting": Setting(**raw["setting"]), "costs": costs})


@dataclass(frozen=True)
class RunPlan:
    """What to run.

    Attributes:
        settings: All of them; their order changes with each repeat.
        repeats: How often.
        seconds: How long workers begin new trials.
        held: Observations that an experiment begins with, so that the sampler has something to
            go by.
    """

    settings: Sequence[Setting]
    repeats: int
    seconds: float
    held: int = 20


def runs(plan: RunPlan) -> Iterator[Run]:
    """Make every run ``repeats`` times, in an order that changes with each repeat.

    A run whose workers fail has no costs, and says why.

    Raises:
        NoPostgreSQLError: It is needed and not there.
    """
    order, settings = random.Random(0), list(plan.settings)
    with PostgreSQL(connections=400) as postgresql:
        for repeat in range(plan.repeats):
            order.shuffle(settings)
            for setting in settings:
                load = os.getloadavg()[0]
                try:
                    yield _run(setting, repeat, plan, postgresql)
                except (WorkerFailedError, ServerDiedError) as error:
                    yield Run(setting, repeat, 0, 0.0, load, (), str(error))


def _run(setting: Setting, repeat: int, plan: RunPlan, postgresql: PostgreSQL) -> Run:
    workload = Workload(setting.parameters)
    url = postgresql.database("shared")
    connection = open_embedded(url, seed=0)
    definition = workload.definition(BUDGET, setting.workers)
    experiment = create_on(connection, definition)
    for batch in workload.batches(plan.held):
        connection.experiments(experiment.id).observations().create_batch(observations=batch)
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        where, token = url, ""
        if setting.way != DATABASE:
            server = stack.enter_context(Serving(url, "quantization"))
            where, token = server.url, server.token
        given = [
            Assignment(
                way=setting.way,
                where=where,
                token=token,
                experiment=experiment.id,
                parameters=setting.parameters,
                name=f"worker-{number}",
                folder=folder,
                workers=setting.workers,
                trial_seconds=setting.trial_seconds,
                seconds=plan.seconds,
                seed=1000 * repeat + number,
            )
            for number in range(setting.workers)
        ]
        costs, busy = _work(given)
    experiment.refresh()
    observations = experiment.observed
    connection.impl.driver.close()
    return Run(setting, repeat, observations, busy, load, tuple(costs))


def _work(given: Sequence[Assignment]) -> tuple[list[Cost], float]:
    """Let all workers work at the same time; the costs, and how busy the processors were."""
    # Forked from a process that has imported everything, or starting 64 would take minutes.
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    ready = context.Barrier(len(given) + 1)
    ends, processes = [], []
    for assignment in given:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(assignment, ready, there), daemon=True)
        process.start()
        there.close()
        ends.append(here)
        processes.append(process)
    try:
        with _Busy(ready) as busy:
            answers = [_answer(end) for end in ends]
    finally:
        for process in processes:
            process.terminate()
            process.join()
    failed = [answer for answer in answers if isinstance(answer, str)]
    if failed:
        # The others only say that the barrier is broken.
        told = next((text for text in failed if "BrokenBarrier" not in text), failed[0])
        raise WorkerFailedError(f"{len(failed)} of {len(given)} workers failed. {told}")
    return [cost for answer in answers for cost in answer], busy.share


def _answer(end: Any) -> Any:
    if not end.poll(_PATIENCE_SECONDS + 100):
        return "a worker hangs"
    try:
        return end.recv()
    except EOFError:
        return "a worker died"


class _Busy:
    """How busy the processors are from when all workers are ready."""

    def __init__(self, ready: Any) -> None:
        self._ready = ready
        self.share = 0.0

    def __enter__(self) -> _Busy:
        # Broken if a worker has failed, which says so itself.
        with contextlib.suppress(threading.BrokenBarrierError):
            self._ready.wait(_PATIENCE_SECONDS)
        self._begun, self._used = time.monotonic(), _used_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        used = _used_seconds() - self._used
        seconds = max(time.monotonic() - self._begun, 1e-9)
        self.share = used / (seconds * (os.cpu_count() or 1))


def _used_seconds() -> float:
    """Processor time of the whole machine that was not idle."""
    import psutil

    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait)


def read_runs(path: Path) -> list[Run]:
    """Runs that a script has written as JSON lines."""
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [Run.from_json(json.loads(line)) for line in whole]
