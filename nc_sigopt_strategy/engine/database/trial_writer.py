"""Writes a whole trial into Optuna's tables in one transaction.

Optuna's own calls need one transaction per attribute to finish a trial, with a gap for a crash or
a second writer between them, and several queries per parameter to create one.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import TrialState

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.journal import hold_study, write_entry
from nc_sigopt_strategy.engine.database.optuna_tables import (
    FINITE,
    TRIAL_PARAMS,
    TRIAL_SYSTEM_ATTRS,
    TRIAL_USER_ATTRS,
    TRIAL_VALUES,
    TRIALS,
    time_now,
)
from nc_sigopt_strategy.engine.database.own_tables import inserted_id
from nc_sigopt_strategy.sampling import CONSTRAINTS_ATTR

Rows = list[dict[str, Any]]

# Rows of four values in one statement; old versions of SQLite take 999 values.
_ROWS_AT_ONCE = 200


@dataclass(frozen=True)
class Finish:
    """How a trial ends.

    Attributes:
        state: Optuna's state, COMPLETE or FAIL.
        user_attrs: What is kept with the trial from now on.
        objectives: Values of Optuna's objectives; empty for FAIL.
        constraints: One number per constraint; above zero means violated.
        numbered: The one of ``user_attrs`` (an object) that is entered into the journal and gets
            the entry's number as its ``id``, ``None`` where
            nothing has arrived.
    """

    state: TrialState
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    objectives: tuple[float, ...] = ()
    constraints: tuple[float, ...] = ()
    numbered: str | None = None

    def with_number(self, number: int) -> Finish:
        """The same with the journal's number in place."""
        if self.numbered is None:
            return self
        named = {**self.user_attrs[self.numbered], "id": number}
        return dataclasses.replace(self, user_attrs={**self.user_attrs, self.numbered: named})


class OvertakenError(Exception):
    """Another process wrote first; nothing was written."""


class TrialTemplate:
    """The trials of one experiment, prepared to be inserted.

    All have the same parameters, so the statements and all of their values but the assignments
    are made once. One statement holds many rows: a statement per parameter would be a journey
    to the database server and back for each.

    Args:
        search_space: Parameter name to distribution.
    """

    def __init__(self, search_space: Mapping[str, BaseDistribution]) -> None:
        self._space = search_space
        self._parts: list[_Part] = []
        names = list(search_space)
        for start in range(0, len(names), _ROWS_AT_ONCE):
            self._parts.append(_Part(search_space, names[start : start + _ROWS_AT_ONCE]))

    def insert(
        self,
        database: Database,
        study_id: int,
        assignments: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        state: TrialState,
        finish: Finish | None,
        only_as: int | None = None,
    ) -> tuple[int, int, Finish | None]:
        """Add a trial.

        Args:
            database: Where.
            study_id: The study; it must exist.
            assignments: Parameter name to value, for all parameters.
            user_attrs: User attributes beside those of ``finish``.
            state: RUNNING or WAITING; not used when ``finish`` is given.
            finish: How it ended.
            only_as: The number it must get; ``None`` for whichever is next.

        Returns:
            Trial id, unique in the database, number in the study, from 0, and how it ended,
            numbered.

        Raises:
            OvertakenError: The next number is another one.
        """
        internal = {
            name: domain.to_internal_repr(assignments[name])
            for name, domain in self._space.items()
        }
        with database.writing() as connection:
            trial_id, number = _insert_trial(
                connection, database.is_sqlite, study_id, state if finish is None else finish.state
            )
            if only_as not in (None, number):
                raise OvertakenError  # and all is rolled back
            for part in self._parts:
                connection.execute(part.statement, part.values(trial_id, internal))
            _insert(connection, TRIAL_USER_ATTRS, _attrs(trial_id, user_attrs))
            if finish is not None:
                finish = _insert_finish(connection, study_id, trial_id, finish)
        return trial_id, number, finish


class _Part:
    """The statement that inserts some of the parameters of a trial."""

    def __init__(self, space: Mapping[str, BaseDistribution], names: list[str]) -> None:
        self._names = names
        self._constant: dict[str, Any] = {}
        for index, name in enumerate(names):
            self._constant[f"n{index}"] = name
            self._constant[f"d{index}"] = distribution_to_json(space[name])
        rows = ", ".join(f"(:t, :n{index}, :v{index}, :d{index})" for index in range(len(names)))
        self.statement = sqlalchemy.text(
            f"INSERT INTO {TRIAL_PARAMS.name} "
            f"(trial_id, param_name, param_value, distribution_json) VALUES {rows}"
        )

    def values(self, trial_id: int, internal: Mapping[str, float]) -> dict[str, Any]:
        """Values of the statement."""
        values = dict(self._constant)
        values["t"] = trial_id
        for index, name in enumerate(self._names):
            values[f"v{index}"] = internal[name]
        return values


def finish_trial(
    database: Database,
    study_id: int,
    trial_id: int,
    finish: Finish,
    state: TrialState = TrialState.RUNNING,
) -> Finish | None:
    """Finish a trial that is in ``state``.

    Returns:
        How it ended, numbered; ``None`` if it was not in that state any more: somebody else was
        faster.
    """
    with database.writing() as connection:
        if finish.numbered is not None:
            hold_study(connection, study_id)
        if not _change_state(connection, trial_id, state, finish.state, datetime_complete=True):
            return None
        return _insert_finish(connection, study_id, trial_id, finish)


def start_trial(database: Database, trial_id: int, user_attrs: Mapping[str, Any]) -> bool:
    """Let a WAITING trial run.

    Returns:
        False if it was not WAITING any more: somebody else started or took it back.
    """
    with database.writing() as connection:
        if not _change_state(
            connection, trial_id, TrialState.WAITING, TrialState.RUNNING, datetime_complete=False
        ):
            return False
        _insert(connection, TRIAL_USER_ATTRS, _attrs(trial_id, user_attrs))
    return True


def _change_state(
    connection: sqlalchemy.Connection,
    trial_id: int,
    before: TrialState,
    after: TrialState,
    *,
    datetime_complete: bool,
) -> bool:
    # The condition makes this statement the one that decides between two processes.
    column = "datetime_complete" if datetime_complete else "datetime_start"
    changed = connection.execute(
        sqlalchemy.update(TRIALS)
        .where(TRIALS.c.trial_id == trial_id, TRIALS.c.state == before)
        .values({"state": after, column: time_now()})
    )
    return changed.rowcount == 1


def _insert_trial(
    connection: sqlalchemy.Connection, is_sqlite: bool, study_id: int, state: TrialState
) -> tuple[int, int]:
    now = time_now()
    # Two writers would compute the same number, too.
    hold_study(connection, study_id)
    others = TRIALS.alias("others")
    last_number = (
        sqlalchemy.select(others.c.number)
        .where(others.c.study_id == study_id)
        .order_by(others.c.trial_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    insert = sqlalchemy.insert(TRIALS).values(
        study_id=study_id,
        number=sqlalchemy.func.coalesce(last_number, -1) + 1,
        state=state,
        datetime_start=None if state == TrialState.WAITING else now,
        datetime_complete=now if state.is_finished() else None,
    )
    if not is_sqlite:
        row = connection.execute(insert.returning(TRIALS.c.trial_id, TRIALS.c.number)).one()
        return int(row.trial_id), int(row.number)
    # Old versions of SQLite have no RETURNING.
    trial_id = inserted_id(connection.execute(insert))
    number = connection.execute(
        sqlalchemy.select(TRIALS.c.number).where(TRIALS.c.trial_id == trial_id)
    ).scalar_one()
    return trial_id, int(number)


def _insert_finish(
    connection: sqlalchemy.Connection, study_id: int, trial_id: int, finish: Finish
) -> Finish:
    if finish.numbered is not None:
        number = write_entry(connection, study_id, trial_id, int(time.time()))
        finish = finish.with_number(number)
    insert_ending(connection, trial_id, finish)
    return finish


def insert_ending(connection: sqlalchemy.Connection, trial_id: int, finish: Finish) -> None:
    """Insert what a trial has from its end; the trial must have none of it yet."""
    values = [
        {"trial_id": trial_id, "objective": index, "value": value, "value_type": FINITE}
        for index, value in enumerate(finish.objectives)
    ]
    _insert(connection, TRIAL_VALUES, values)
    _insert(connection, TRIAL_USER_ATTRS, _attrs(trial_id, finish.user_attrs))
    if finish.constraints:
        constraints = _attrs(trial_id, {CONSTRAINTS_ATTR: list(finish.constraints)})
        _insert(connection, TRIAL_SYSTEM_ATTRS, constraints)


def _attrs(trial_id: int, attrs: Mapping[str, Any]) -> Rows:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attrs.items()
    ]


def _insert(connection: sqlalchemy.Connection, table: sqlalchemy.Table, rows: Rows) -> None:
    if rows:
        connection.execute(sqlalchemy.insert(table), rows)
