"""Changes how a trial ended, which Optuna never does: SigOpt lets observations be changed.

Each change is entered into the journal, by which every process that has read the trial learns that
it must read it again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from optuna.trial import TrialState

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.journal import hold_study, write_entry
from nc_sigopt_strategy.engine.database.optuna_tables import (
    TRIAL_PARAMS,
    TRIAL_SYSTEM_ATTRS,
    TRIAL_USER_ATTRS,
    TRIAL_VALUES,
    TRIALS,
    time_now,
)
from nc_sigopt_strategy.engine.database.trial_writer import Finish, OvertakenError, insert_ending
from nc_sigopt_strategy.sampling import CONSTRAINTS_ATTR


@dataclass(frozen=True)
class Change:
    """What becomes of a trial that has ended.

    Attributes:
        trial_id: The trial.
        key: The user attribute that the change is about.
        before: Its value as it was read; if another process has changed it since, nothing happens.
        finish: How the trial ends now; state RUNNING lets it run again. Without ``key`` among its
            attributes that one is dropped.
        params: Parameter name to value, in Optuna's internal form, and the JSON of the
            distribution that it is of, for those that change.
    """

    trial_id: int
    key: str
    before: Any
    finish: Finish
    params: Mapping[str, tuple[float, str]] = field(default_factory=dict)


def change_trials(database: Database, study_id: int, changes: Sequence[Change]) -> None:
    """Change trials of one study, all of them or none.

    Raises:
        OvertakenError: One is not as it was read.
    """
    if not changes:
        return
    with database.writing() as connection:
        hold_study(connection, study_id)
        for change in changes:
            _change(connection, study_id, change)


def _change(connection: sqlalchemy.Connection, study_id: int, change: Change) -> None:
    trial_id, finish = change.trial_id, change.finish
    finished = finish.state != TrialState.RUNNING
    # A write comes first: on SQLite it is what keeps other writers away from here on.
    connection.execute(
        sqlalchemy.update(TRIALS)
        .where(TRIALS.c.trial_id == trial_id)
        .values(state=finish.state, datetime_complete=time_now() if finished else None)
    )
    attrs = TRIAL_USER_ATTRS.c
    text = connection.execute(
        sqlalchemy.select(attrs.value_json).where(
            attrs.trial_id == trial_id, attrs.key == change.key
        )
    ).scalar_one_or_none()
    if text is None or json.loads(text) != change.before:
        raise OvertakenError  # and all is rolled back
    replaced = {change.key, *finish.user_attrs}
    system = TRIAL_SYSTEM_ATTRS.c
    for table, which in (
        (TRIAL_USER_ATTRS, attrs.key.in_(replaced)),
        (TRIAL_SYSTEM_ATTRS, system.key == CONSTRAINTS_ATTR),
        (TRIAL_VALUES, sqlalchemy.true()),
    ):
        connection.execute(sqlalchemy.delete(table).where(table.c.trial_id == trial_id, which))
    for name, (value, distribution) in change.params.items():
        connection.execute(
            sqlalchemy.update(TRIAL_PARAMS)
            .where(TRIAL_PARAMS.c.trial_id == trial_id, TRIAL_PARAMS.c.param_name == name)
            .values(param_value=value, distribution_json=distribution)
        )
    insert_ending(connection, trial_id, finish)
    write_entry(connection, study_id, trial_id, int(time.time()))
