"""Stores that hold an experiment with so many observations, copied afresh for each visit."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_benchmarks.research.parallel.bare_commits import commit_milliseconds
from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL
from nc_sigopt_benchmarks.research.parallel.table_copy import copy_tables
from nc_sigopt_benchmarks.research.parallel.workload import Workload
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.experiments.opening import create_on

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
_WORKERS = 16
_MORE = 100_000  # never the budget's end


@dataclass(frozen=True)
class Copy:
    """A store of its own.

    Attributes:
        url: Of the store.
        experiment: Id of the experiment in it.
    """

    url: str
    experiment: str


class Stores:
    """Filled stores of both kinds.

    Args:
        folder: For SQLite files.
        postgresql: Where the databases go; ``None`` if none is asked for.
        workload: What the experiment is.
    """

    def __init__(self, folder: Path, postgresql: PostgreSQL | None, workload: Workload) -> None:
        self._folder, self._postgresql, self._workload = folder, postgresql, workload
        self._experiments: dict[tuple[str, int], str] = {}

    def fill(self, storage: str, observations: int) -> None:
        """Make the store that copies are made of; PostgreSQL's from SQLite's."""
        name = _filled(observations)
        if storage == POSTGRESQL:
            if (SQLITE, observations) not in self._experiments:
                self.fill(SQLITE, observations)
            url = self._url(storage, name)
            open_embedded(url).impl.driver.close()  # makes the tables
            copy_tables(self._folder / f"{name}.db", url)
            self._experiments[storage, observations] = self._experiments[SQLITE, observations]
            return
        connection = open_embedded(self._url(storage, name), seed=0)
        definition = self._workload.definition(observations + _MORE, _WORKERS)
        experiment = create_on(connection, definition)
        endpoint = connection.experiments(experiment.id)
        for batch in self._workload.batches(observations):
            endpoint.observations().create_batch(observations=batch)
        connection.impl.driver.close()
        self._experiments[storage, observations] = experiment.id

    def bare_commit(self, storage: str) -> tuple[float, float]:
        """What one commit costs here in milliseconds, median and 95th percentile."""
        return commit_milliseconds(self._url(storage, "commits"))

    def copy(self, storage: str, observations: int) -> Copy:
        """A copy of a filled store; the copy before it is gone."""
        url = self._url(storage, "visit", _filled(observations))
        return Copy(url, self._experiments[storage, observations])

    def _url(self, storage: str, name: str, template: str | None = None) -> str:
        if storage == POSTGRESQL:
            if self._postgresql is None:
                raise ValueError("no PostgreSQL was given")
            return self._postgresql.database(name, template)
        path = self._folder / f"{name}.db"
        for old in self._folder.glob(f"{name}.db*"):
            old.unlink()
        if template is not None:
            shutil.copyfile(self._folder / f"{template}.db", path)
        return f"sqlite:///{path}"


def _filled(observations: int) -> str:
    return f"filled_{observations}"
