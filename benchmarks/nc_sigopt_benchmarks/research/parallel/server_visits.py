"""How long suggest and observe take through a real server: visits to cells, interleaved."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.research.parallel.clients import Clients
from nc_sigopt_benchmarks.research.parallel.serving import Serving
from nc_sigopt_benchmarks.research.parallel.stores import Stores
from nc_sigopt_benchmarks.research.parallel.timed_client import Order, Sample


@dataclass(frozen=True)
class Cell:
    """What is measured.

    Attributes:
        storage: Kind of the store.
        sampler: Of the server.
        observations: That the experiment holds at the beginning.
        clients: How many ask at the same time.
    """

    storage: str
    sampler: str
    observations: int
    clients: int


@dataclass(frozen=True)
class Visit:
    """One look at a cell.

    Attributes:
        cell: Which.
        repeat: Which look, from 0.
        first_ms: The very first suggestion of a server that was just started, in milliseconds;
            it reads the whole experiment. ``None`` where an earlier visit had it.
        seconds: How long the clients worked.
        server_cpu: Processor seconds of the server meanwhile.
        load: The machine's load average over a minute, at the end.
        samples: Of all clients.
    """

    cell: Cell
    repeat: int
    first_ms: float | None
    seconds: float
    server_cpu: float
    load: float
    samples: tuple[Sample, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Visit:
        """The inverse of ``to_json``."""
        samples = tuple(Sample(**sample) for sample in raw["samples"])
        return cls(**{**raw, "cell": Cell(**raw["cell"]), "samples": samples})


@dataclass(frozen=True)
class Plan:
    """What to visit.

    Attributes:
        storages: Kinds of stores.
        samplers: Of the server.
        observations: Numbers to begin with.
        clients: Numbers of clients, which take turns on one server, the fewest first.
        parameters: Of the experiment.
        repeats: Visits per cell.
        rounds: Suggestions per visit at most, of all clients together.
        seconds: After which a visit ends.
    """

    storages: Sequence[str]
    samplers: Sequence[str]
    observations: Sequence[int]
    clients: Sequence[int]
    parameters: int
    repeats: int
    rounds: int
    seconds: float


def visits(plan: Plan, stores: Stores) -> Iterator[Visit]:
    """Visit every cell ``repeats`` times, in an order that changes with each repeat.

    Each server gets a fresh copy of its store, so a visit adds to no other one's observations
    but for those of fewer clients on the same server.
    """
    order = random.Random(0)
    cells = list(itertools.product(plan.storages, plan.samplers, plan.observations))
    with Clients(max(plan.clients)) as clients:
        for repeat in range(plan.repeats):
            order.shuffle(cells)
            for storage, sampler, observations in cells:
                copy = stores.copy(storage, observations)
                with Serving(copy.url, sampler) as server:
                    ask = Order(server.url, server.token, copy.experiment, plan.parameters, 1, 0.0)
                    first: float | None = clients.work(ask, 1)[0][0].total
                    for count in sorted(plan.clients):
                        rounds = max(1, plan.rounds // count)
                        todo = dataclasses.replace(ask, rounds=rounds, seconds=plan.seconds)
                        begun, cpu = time.monotonic(), server.cpu_seconds()
                        samples = [s for found in clients.work(todo, count) for s in found]
                        yield Visit(
                            cell=Cell(storage, sampler, observations, count),
                            repeat=repeat,
                            first_ms=first,
                            seconds=time.monotonic() - begun,
                            server_cpu=server.cpu_seconds() - cpu,
                            load=os.getloadavg()[0],
                            samples=tuple(samples),
                        )
                        first = None


def read_visits(path: Path) -> list[Visit]:
    """Visits that a script has written as JSON lines."""
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [Visit.from_json(json.loads(line)) for line in whole]
