"""Training runs, their checkpoints and files: documents in tables of ours."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from nc_sigopt_strategy.engine.database.database import MAX_ID, Database
from nc_sigopt_strategy.engine.database.own_tables import METADATA, inserted_id
from nc_sigopt_strategy.engine.database.run_document import field_names

JsonObject = dict[str, Any]

# A number that was a run's is never another's: SQLite would give the highest one again.
_RUNS = Table(
    "nc_sigopt_runs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("project", String(32), nullable=False),
    Column("experiment", Integer),
    Column("observation", Integer),
    Column("finished", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    # Counts the changes, so that of two writers the later one notices.
    Column("version", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Index("nc_sigopt_runs_of_project", "project", "id"),
    Index("nc_sigopt_runs_of_experiment", "experiment", "id"),
    Index("nc_sigopt_runs_changes", "version"),
    sqlite_autoincrement=True,
)
_PARTS = Table(
    "nc_sigopt_run_parts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Index("nc_sigopt_parts_of_run", "run", "kind", "id"),
    sqlite_autoincrement=True,
)
_STATE = sqlalchemy.select(sqlalchemy.func.count(), sqlalchemy.func.sum(_RUNS.c.version))
_Which = tuple[str | None, int | None]
_COLUMNS = (_RUNS.c.id, _RUNS.c.version, _RUNS.c.document)
# 20,000 documents of 1 kB take about 100 MB when parsed.
_KEPT, _LISTS_KEPT = 20_000, 4
# Databases take some thousand parameters in a statement.
_CHUNK = 500


@dataclass(frozen=True)
class StoredRun:
    """A run and where it is.

    Attributes:
        id: Its id.
        version: How often it was changed.
        document: What is kept of it.
    """

    id: int
    version: int
    document: Mapping[str, Any]

    @functools.cached_property
    def field_names(self) -> tuple[str, ...]:
        """The fields that it has; lists count them, and thousands of runs share the names."""
        return tuple(map(sys.intern, field_names(self.document)))


@dataclass(frozen=True)
class StoredPart:
    """A checkpoint or a file of a run.

    Attributes:
        id: Its id; checkpoints and files share one sequence.
        run: The run's id.
        document: What is kept of it.
    """

    id: int
    run: int
    document: Mapping[str, Any]


class Runs:
    """The runs of a store. Threads may share it; ids are compared as they come from a path.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: OrderedDict[int, StoredRun] = OrderedDict()
        self._lists: OrderedDict[_Which, tuple[tuple[Any, ...], list[StoredRun]]] = OrderedDict()

    def add(self, documents: Iterable[JsonObject]) -> list[StoredRun]:
        """Add runs, all or none, in the order given."""
        made = []
        with self._database.writing() as connection:
            for document in documents:
                row = {**_columns(document), "version": 0}
                added = connection.execute(sqlalchemy.insert(_RUNS).values(**row))
                made.append(StoredRun(inserted_id(added), 0, document))
        return made

    def get(self, run_id: int) -> StoredRun | None:
        """The run with this id; ``None`` if there is none."""
        if run_id > MAX_ID:
            return None
        statement = sqlalchemy.select(*_COLUMNS).where(_RUNS.c.id == run_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._parsed(row)

    def change(
        self, run: StoredRun, change: Callable[[Mapping[str, Any]], JsonObject]
    ) -> StoredRun:
        """Change a run, whatever else is changed in it meanwhile.

        Args:
            run: As it was read; it must exist.
            change: Makes the new document of the present one. It is called again when another
                writer was faster, so what that wrote is kept.
        """
        while True:
            # Each turn that is lost is one that another writer won, so this comes to an end.
            document = change(run.document)
            with self._database.writing() as connection:
                if _replaced(connection, run, document):
                    return StoredRun(run.id, run.version + 1, document)
            run = self.get(run.id) or run

    def all(
        self, *, project: str | None = None, experiment: int | None = None
    ) -> Sequence[StoredRun]:
        """The runs of a project or an experiment, or all there are, oldest first."""
        which = _which(project, experiment)
        statement = sqlalchemy.select(_RUNS.c.id, _RUNS.c.version).where(*which)
        with self._database.reading() as connection:
            # Runs are never removed, so one of the two grows with whatever is written.
            state = tuple(connection.execute(_STATE).one())
            with self._lock:
                listed = self._lists.get((project, experiment))
            if listed is not None and listed[0] == state:
                return listed[1]
            rows = connection.execute(statement.order_by(_RUNS.c.id)).all()
        with self._lock:
            known = {
                run_id: run
                for run_id, version in rows
                if (run := self._known.get(run_id)) is not None and run.version == version
            }
        missing = [run_id for run_id, _ in rows if run_id not in known]
        for start in range(0, len(missing), _CHUNK):
            wanted = _RUNS.c.id.in_(missing[start : start + _CHUNK])
            with self._database.reading() as connection:
                found = connection.execute(sqlalchemy.select(*_COLUMNS).where(wanted)).all()
            known.update({row.id: self._parsed(row) for row in found})
        runs = [known[run_id] for run_id, _ in rows if run_id in known]
        with self._lock:
            self._lists[(project, experiment)] = (state, runs)
            if len(self._lists) > _LISTS_KEPT:
                self._lists.popitem(last=False)
        return runs

    def observed_as(self, experiment: int, observation: int) -> StoredRun | None:
        """The run of an experiment that became this observation, if it was not deleted."""
        statement = sqlalchemy.select(*_COLUMNS).where(
            _RUNS.c.experiment == experiment,
            _RUNS.c.observation == observation,
            _RUNS.c.deleted.is_(False),
        )
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else self._parsed(row)

    def count(self, experiment: int, *, finished: bool) -> int:
        """How many runs of an experiment have finished or have not; deleted ones do not count."""
        statement = sqlalchemy.select(sqlalchemy.func.count()).where(
            _RUNS.c.experiment == experiment,
            _RUNS.c.deleted.is_(False),
            _RUNS.c.finished.is_(finished),
        )
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def count_by_project(self) -> dict[str, int]:
        """Project id to how many runs it has; deleted ones do not count."""
        statement = (
            sqlalchemy.select(_RUNS.c.project, sqlalchemy.func.count())
            .where(_RUNS.c.deleted.is_(False))
            .group_by(_RUNS.c.project)
        )
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def add_part(
        self,
        run: StoredRun,
        kind: str,
        document: JsonObject,
        change: Callable[[Mapping[str, Any], int], JsonObject],
    ) -> StoredPart:
        """Keep a checkpoint or a file of a run and note it in the run: both or neither.

        Args:
            run: As it was read; it must exist.
            kind: What it is.
            document: What is kept of it.
            change: Makes the run's new document of the present one and the part's id, or raises
                what speaks against it. See ``change``.
        """
        row = {"run": run.id, "kind": kind, "document": json.dumps(document)}
        while True:
            with contextlib.suppress(_OvertakenError), self._database.writing() as connection:
                made = inserted_id(connection.execute(sqlalchemy.insert(_PARTS).values(**row)))
                if not _replaced(connection, run, change(run.document, made)):
                    raise _OvertakenError
                return StoredPart(made, run.id, document)
            run = self.get(run.id) or run

    def parts(self, run_id: int, kind: str) -> list[StoredPart]:
        """The checkpoints or files of a run, oldest first."""
        return self._parts(_PARTS.c.run == run_id, _PARTS.c.kind == kind)

    def part(self, part_id: int, kind: str) -> StoredPart | None:
        """A checkpoint or a file by its id; ``None`` if there is none."""
        if part_id > MAX_ID:
            return None
        found = self._parts(_PARTS.c.id == part_id, _PARTS.c.kind == kind)
        return found[0] if found else None

    def _parts(self, *which: sqlalchemy.ColumnElement[bool]) -> list[StoredPart]:
        statement = sqlalchemy.select(_PARTS).where(*which).order_by(_PARTS.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
        return [StoredPart(row.id, row.run, json.loads(row.document)) for row in rows]

    def _parsed(self, row: Any) -> StoredRun:
        with self._lock:
            known = self._known.get(row.id)
            if known is not None and known.version == row.version:
                self._known.move_to_end(row.id)
                return known
        run = StoredRun(row.id, row.version, json.loads(row.document))
        with self._lock:
            self._known[run.id] = run
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return run


class _OvertakenError(Exception):
    """Another writer changed a run first; what was written with it is taken back."""


def _replaced(connection: sqlalchemy.Connection, run: StoredRun, document: JsonObject) -> bool:
    """Whether a run is still as it was read, and now this."""
    update = (
        sqlalchemy.update(_RUNS)
        .where(_RUNS.c.id == run.id, _RUNS.c.version == run.version)
        .values(**_columns(document), version=run.version + 1)
    )
    return connection.execute(update).rowcount == 1


def _columns(document: Mapping[str, Any]) -> JsonObject:
    """What the database itself has to look for or count."""
    return {
        "project": document["project"],
        "experiment": document["experiment"],
        "observation": document["observation"],
        "finished": document["completed"] is not None or document["observation"] is not None,
        "deleted": document["deleted"],
        "document": json.dumps(document),
    }


def _which(project: str | None, experiment: int | None) -> list[sqlalchemy.ColumnElement[bool]]:
    which = []
    if project is not None:
        which.append(_RUNS.c.project == project)
    if experiment is not None:
        which.append(_RUNS.c.experiment == experiment)
    return which
