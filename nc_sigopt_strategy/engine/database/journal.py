"""The journal: what happened to the observations of an experiment, in order of arrival.

A trial's id is given when it is suggested, and its clock may go backwards. Neither tells in which
order observations came in. So each arrival, change and removal of an observation is an entry here,
written in the same transaction. The number of its first entry is an observation's id; the entries
after the last one that a process has read name the finished trials that it must read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import Column, Integer, Table

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.optuna_tables import STUDIES, TRIALS
from nc_sigopt_strategy.engine.database.own_tables import METADATA

_JOURNAL = Table(
    "nc_sigopt_journal",
    METADATA,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("trial_id", Integer, nullable=False),
    Column("written", Integer, nullable=False),
)
_LAST = (
    sqlalchemy.select(_JOURNAL.c.entry, _JOURNAL.c.written)
    .where(_JOURNAL.c.study_id == sqlalchemy.bindparam("study"))
    .order_by(_JOURNAL.c.entry.desc())
    .limit(1)
)
_SINCE = (
    sqlalchemy.select(_JOURNAL.c.entry, _JOURNAL.c.trial_id, _JOURNAL.c.written)
    .where(
        _JOURNAL.c.study_id == sqlalchemy.bindparam("study"),
        _JOURNAL.c.entry > sqlalchemy.bindparam("last"),
    )
    .order_by(_JOURNAL.c.entry)
)


@dataclass(frozen=True)
class News:
    """What a journal says.

    Attributes:
        last: The number of the last entry; -1 without any.
        written: When that was written, in unix seconds; 0 without any.
        trial_ids: The trials that the entries are about.
    """

    last: int = -1
    written: int = 0
    trial_ids: frozenset[int] = frozenset()


def read_journal(connection: sqlalchemy.Connection, study_id: int, known: News | None) -> News:
    """What has been written since.

    Args:
        connection: To the database.
        study_id: The study.
        known: What was read last; ``None`` asks for the last entry only, for a reader that is
            about to read all trials anyway.
    """
    if known is None:
        row = connection.execute(_LAST, {"study": study_id}).first()
        return News() if row is None else News(row.entry, row.written)
    rows = connection.execute(_SINCE, {"study": study_id, "last": known.last}).all()
    if not rows:
        return News(known.last, known.written)
    return News(rows[-1].entry, rows[-1].written, frozenset(row.trial_id for row in rows))


def last_written(database: Database) -> Mapping[int, int]:
    """Study id to the unix seconds of its last entry, for the studies that have one."""
    of_study = _JOURNAL.alias("of_study")
    last = (
        sqlalchemy.select(of_study.c.written)
        .where(of_study.c.study_id == STUDIES.c.study_id)
        .order_by(of_study.c.entry.desc())
        .limit(1)
        .scalar_subquery()
    )
    with database.reading() as connection:
        rows = connection.execute(sqlalchemy.select(STUDIES.c.study_id, last))
        return {study_id: written for study_id, written in rows if written is not None}


def hold_study(connection: sqlalchemy.Connection, study_id: int) -> None:
    """Keep other writers away from a study until this transaction ends.

    Entries and trial ids of a study must grow in the order of the commits, since who reads what
    is new asks for what comes after the last one that it knows. SQLite ignores FOR UPDATE: there
    the transaction's first statement that writes takes the only write lock.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(
            sqlalchemy.select(STUDIES.c.study_id)
            .where(STUDIES.c.study_id == study_id)
            .with_for_update()
        )


def write_entry(
    connection: sqlalchemy.Connection, study_id: int, trial_id: int, written: int
) -> int:
    """Add an entry; the transaction must hold the study and have written something.

    Args:
        connection: In the transaction.
        study_id: The study.
        trial_id: The trial that the entry is about.
        written: Unix seconds.

    Returns:
        Its number: larger than all before, and than the trials' ids of a study that was begun
        before there was a journal, where an observation's id is that of its trial.
    """
    entries, trials = _JOURNAL.alias("entries"), TRIALS.alias("trials_of_study")
    last = sqlalchemy.select(sqlalchemy.func.max(entries.c.entry)).where(
        entries.c.study_id == study_id
    )
    last_trial = sqlalchemy.select(sqlalchemy.func.max(trials.c.trial_id)).where(
        trials.c.study_id == study_id
    )
    number = sqlalchemy.select(
        sqlalchemy.func.coalesce(last.scalar_subquery(), last_trial.scalar_subquery(), 0) + 1
    )
    entry = int(connection.execute(number).scalar_one())
    connection.execute(
        sqlalchemy.insert(_JOURNAL).values(
            study_id=study_id, entry=entry, trial_id=trial_id, written=written
        )
    )
    return entry
