"""Writes a whole trial into Optuna's tables in one transaction.

Optuna's own calls need one transaction per attribute to finish a trial, with a gap for a crash or
a second writer between them, and several queries per parameter to create one (20 ms for 30
parameters, against 2 ms here). Reading stays Optuna's. The tables have had this shape since
Optuna 3.0, and their version is checked when the store is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models  # the tables have no public name
from optuna.trial import TrialState

from nc_sigopt_strategy.sampling import CONSTRAINTS_ATTR

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Finish:
    """How a trial ends.

    Attributes:
        state: Optuna's state, COMPLETE or FAIL.
        user_attrs: What is kept with the trial from now on.
        objectives: Values of Optuna's objectives; empty for FAIL.
        constraints: One number per constraint; above zero means violated.
    """

    state: TrialState
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    objectives: tuple[float, ...] = ()
    constraints: tuple[float, ...] = ()


def insert_trial(
    engine: sqlalchemy.Engine,
    study_id: int,
    assignments: Mapping[str, Any],
    search_space: Mapping[str, BaseDistribution],
    user_attrs: Mapping[str, Any],
    finish: Finish | None = None,
) -> tuple[int, int]:
    """Add a trial: RUNNING, or finished when ``finish`` is given.

    Args:
        engine: The database.
        study_id: The study; it must exist.
        assignments: Parameter name to value.
        search_space: Parameter name to distribution, for every name in ``assignments``.
        user_attrs: User attributes beside those of ``finish``.
        finish: How it ended.

    Returns:
        Trial id, unique in the database, and number in the study, from 0.
    """
    now = datetime.now()
    trials = models.TrialModel.__table__
    studies = models.StudyModel.__table__
    with engine.begin() as connection:
        # Two writers would compute the same number. Other databases lock the study's row for
        # that; SQLite ignores FOR UPDATE, but there the insert takes the only write lock.
        if engine.dialect.name != "sqlite":
            connection.execute(
                sqlalchemy.select(studies.c.study_id)
                .where(studies.c.study_id == study_id)
                .with_for_update()
            )
        inserted = connection.execute(
            sqlalchemy.insert(trials).values(
                study_id=study_id,
                state=TrialState.RUNNING if finish is None else finish.state,
                datetime_start=now,
                datetime_complete=None if finish is None else now,
            )
        )
        (trial_id,) = cast("tuple[int]", inserted.inserted_primary_key)
        earlier = sqlalchemy.select(sqlalchemy.func.count(trials.c.trial_id)).where(
            trials.c.study_id == study_id, trials.c.trial_id < trial_id
        )
        number = connection.execute(earlier).scalar_one()
        connection.execute(
            sqlalchemy.update(trials).where(trials.c.trial_id == trial_id).values(number=number)
        )
        parameters = [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": search_space[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(search_space[name]),
            }
            for name, value in assignments.items()
        ]
        _insert(connection, models.TrialParamModel, parameters)
        _insert(connection, models.TrialUserAttributeModel, _attrs(trial_id, user_attrs))
        if finish is not None:
            _insert_finish(connection, trial_id, finish)
    return trial_id, number


def finish_trial(engine: sqlalchemy.Engine, trial_id: int, finish: Finish) -> bool:
    """Finish a RUNNING trial.

    Returns:
        False if it was not RUNNING any more: somebody else finished it first.
    """
    trials = models.TrialModel.__table__
    with engine.begin() as connection:
        # The condition makes this statement the one that decides between two processes.
        changed = connection.execute(
            sqlalchemy.update(trials)
            .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
            .values(state=finish.state, datetime_complete=datetime.now())
        ).rowcount
        if changed != 1:
            return False
        _insert_finish(connection, trial_id, finish)
    return True


def _insert_finish(connection: sqlalchemy.Connection, trial_id: int, finish: Finish) -> None:
    finite = models.TrialValueModel.TrialValueType.FINITE
    values = [
        {"trial_id": trial_id, "objective": index, "value": value, "value_type": finite}
        for index, value in enumerate(finish.objectives)
    ]
    _insert(connection, models.TrialValueModel, values)
    _insert(connection, models.TrialUserAttributeModel, _attrs(trial_id, finish.user_attrs))
    if finish.constraints:
        constraints = _attrs(trial_id, {CONSTRAINTS_ATTR: list(finish.constraints)})
        _insert(connection, models.TrialSystemAttributeModel, constraints)


def _attrs(trial_id: int, attrs: Mapping[str, Any]) -> Rows:
    return [
        {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}
        for key, value in attrs.items()
    ]


def _insert(connection: sqlalchemy.Connection, model: Any, rows: Rows) -> None:
    if rows:
        connection.execute(sqlalchemy.insert(model.__table__), rows)
