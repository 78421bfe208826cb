"""Reads what is new in an experiment from Optuna's tables.

A finished trial changes only where the journal says so. So only new trials, those that had not
finished and those that the journal names are looked at.
Optuna's own cache reads every open trial with all of its parameters again each time, and parses
a distribution per parameter; here those are known from the experiment.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.optuna_tables import (
    TRIAL_PARAMS,
    TRIAL_SYSTEM_ATTRS,
    TRIAL_USER_ATTRS,
    TRIAL_VALUES,
    TRIALS,
    local_time,
)

# Ids in one statement: fewer than the 999 values that old versions of SQLite take.
_IDS_AT_ONCE = 500

_COLUMNS = (
    TRIALS.c.trial_id,
    TRIALS.c.number,
    TRIALS.c.state,
    TRIALS.c.datetime_start,
    TRIALS.c.datetime_complete,
)
_NEW = sqlalchemy.select(*_COLUMNS).where(
    TRIALS.c.study_id == sqlalchemy.bindparam("study"),
    TRIALS.c.trial_id > sqlalchemy.bindparam("last"),
)
_KNOWN = sqlalchemy.select(*_COLUMNS).where(
    TRIALS.c.trial_id.in_(sqlalchemy.bindparam("ids", expanding=True))
)
# Each part finds its rows by an index; with OR the database would look at all trials.
_NEW_AND_KNOWN = sqlalchemy.union_all(_NEW, _KNOWN)

Row = tuple[int, int, TrialState, datetime | None, datetime | None]


def trial_count(database: Database, study_id: int) -> int:
    """How many trials a study has, from the number of the latest one."""
    latest = (
        sqlalchemy.select(TRIALS.c.number)
        .where(TRIALS.c.study_id == study_id)
        .order_by(TRIALS.c.trial_id.desc())
        .limit(1)
    )
    with database.reading() as connection:
        number = connection.execute(latest).scalar_one_or_none()
    return 0 if number is None else int(number) + 1


def read_trials(
    database: Database,
    study_id: int,
    space: Mapping[str, BaseDistribution],
    last: int,
    unfinished: Mapping[int, TrialState],
    changed: Collection[int] = (),
    coding: Mapping[str, BaseDistribution] | None = None,
) -> list[FrozenTrial]:
    """Trials that are new, whose state changed, or that are said to have changed.

    Args:
        database: Where.
        study_id: The study.
        space: Parameter name to distribution; all trials share it, so do not change it.
        last: The largest trial id that is known; -1 for none.
        unfinished: Trial id to state of the known ones that had not finished.
        changed: Ids of known trials to read again, whatever their state.
        coding: Parameter name to the distribution in whose terms the tables hold its values;
            ``None`` where that is ``space``.

    Returns:
        The trials in the order of their ids. One that lacks a parameter is not among them: it
        was not made by the engine. Neither is one with a value that ``coding`` does not have: it
        was made after the parameters were changed, which the caller does not know yet.
    """
    coding = space if coding is None else coding
    again = {trial_id for trial_id in changed if trial_id <= last}
    with database.reading() as connection:
        rows: list[Row] = []
        first, *others = list(_chunks(again.union(unfinished))) or [[]]
        values = {"study": study_id, "last": last}
        results = [connection.execute(_NEW_AND_KNOWN, {**values, "ids": first})]
        results += [connection.execute(_KNOWN, {"ids": ids}) for ids in others]
        for row in itertools.chain(*results):
            known = None if row.trial_id in again else unfinished.get(row.trial_id)
            if row.state != known:
                rows.append(tuple(row))
        rows.sort(key=lambda row: row[0])
        trials: list[FrozenTrial] = []
        for start in range(0, len(rows), _IDS_AT_ONCE):
            trials += _complete(connection, rows[start : start + _IDS_AT_ONCE], space, coding)
        return trials


def _complete(
    connection: sqlalchemy.Connection,
    rows: list[Row],
    space: Mapping[str, BaseDistribution],
    coding: Mapping[str, BaseDistribution],
) -> Iterator[FrozenTrial]:
    ids = [row[0] for row in rows]
    params = _params(connection, ids, coding)
    values = _group(
        connection, ids, TRIAL_VALUES, (TRIAL_VALUES.c.objective, TRIAL_VALUES.c.value)
    )
    user = _attrs(connection, ids, TRIAL_USER_ATTRS)
    system = _attrs(connection, ids, TRIAL_SYSTEM_ATTRS)
    names = list(space)
    for trial_id, number, state, started, completed in rows:
        found = params.get(trial_id, {})
        if len(found) != len(names):
            continue
        objectives = values.get(trial_id)
        yield FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=[value for _, value in sorted(objectives)] if objectives else None,
            datetime_start=local_time(started),
            datetime_complete=local_time(completed),
            params={name: found[name] for name in names},
            # Shared by all trials: a copy for each would be most of the memory.
            distributions=space,  # type: ignore[arg-type]
            user_attrs=user.get(trial_id, {}),
            system_attrs=system.get(trial_id, {}),
            intermediate_values={},
            trial_id=trial_id,
        )


def _params(
    connection: sqlalchemy.Connection, ids: list[int], coding: Mapping[str, BaseDistribution]
) -> dict[int, dict[str, Any]]:
    statement = sqlalchemy.select(
        TRIAL_PARAMS.c.trial_id, TRIAL_PARAMS.c.param_name, TRIAL_PARAMS.c.param_value
    ).where(TRIAL_PARAMS.c.trial_id.in_(ids))
    names = {name: name for name in coding}  # one string per name, not one per row
    found: dict[int, dict[str, Any]] = {}
    for trial_id, param_name, value in connection.execute(statement):
        name = names.get(param_name)
        if name is None:
            continue
        try:
            found.setdefault(trial_id, {})[name] = coding[name].to_external_repr(value)
        except IndexError:
            continue
    return found


def _attrs(
    connection: sqlalchemy.Connection, ids: list[int], table: Any
) -> dict[int, dict[str, Any]]:
    grouped = _group(connection, ids, table, (table.c.key, table.c.value_json))
    return {
        trial_id: {key: json.loads(text) for key, text in pairs}
        for trial_id, pairs in grouped.items()
    }


def _group(
    connection: sqlalchemy.Connection, ids: list[int], table: Any, columns: tuple[Any, Any]
) -> dict[int, list[tuple[Any, Any]]]:
    statement = sqlalchemy.select(table.c.trial_id, *columns).where(table.c.trial_id.in_(ids))
    grouped: dict[int, list[tuple[Any, Any]]] = {}
    for trial_id, first, second in connection.execute(statement):
        grouped.setdefault(trial_id, []).append((first, second))
    return grouped


def _chunks(ids: Collection[int]) -> Iterable[list[int]]:
    everything = list(ids)
    for start in range(0, len(everything), _IDS_AT_ONCE):
        yield everything[start : start + _IDS_AT_ONCE]
