"""Optuna's studies and their attributes, read and written without its sessions.

Optuna reads all attributes of all studies to list one; a statement per question is enough here.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.opening import quiet_optuna
from nc_sigopt_strategy.engine.database.optuna_tables import (
    STUDIES,
    STUDY_SYSTEM_ATTRS,
    STUDY_USER_ATTRS,
)
from nc_sigopt_strategy.engine.database.own_tables import write_row

_DESCRIBED = sqlalchemy.select(
    STUDIES.c.study_id, STUDIES.c.study_name, STUDY_USER_ATTRS.c.value_json
).join(STUDY_USER_ATTRS, STUDY_USER_ATTRS.c.study_id == STUDIES.c.study_id)


class Studies:
    """The studies of a store.

    Args:
        storage: Optuna's storage.
        database: The same database.
    """

    def __init__(self, storage: RDBStorage, database: Database) -> None:
        self._storage = storage
        self._database = database

    def create(self, name: str, directions: list[str]) -> int:
        """Create a study.

        Returns:
            Its id.

        Raises:
            optuna.exceptions.DuplicatedStudyError: The name is taken.
        """
        with self._database.alone(), quiet_optuna():
            return self._storage.create_new_study(
                [StudyDirection[direction.upper()] for direction in directions], name
            )

    def id_of(self, name: str) -> int:
        """The id of the study with this name, which must exist."""
        statement = sqlalchemy.select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def user_attr(self, study_id: int, key: str) -> tuple[str, str] | None:
        """The study's name and one of its user attributes, as JSON; ``None`` without it."""
        statement = _DESCRIBED.where(STUDIES.c.study_id == study_id, STUDY_USER_ATTRS.c.key == key)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else (row.study_name, row.value_json)

    def with_user_attr(self, key: str) -> list[tuple[int, str, str]]:
        """Id, name and this attribute as JSON of all studies that have it, oldest first."""
        statement = _DESCRIBED.where(STUDY_USER_ATTRS.c.key == key).order_by(STUDIES.c.study_id)
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def set_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute."""
        self._set(STUDY_USER_ATTRS, study_id, key, value)

    def system_attr(self, study_id: int, key: str) -> Any:
        """A system attribute; ``None`` without it."""
        statement = sqlalchemy.select(STUDY_SYSTEM_ATTRS.c.value_json).where(
            STUDY_SYSTEM_ATTRS.c.study_id == study_id, STUDY_SYSTEM_ATTRS.c.key == key
        )
        with self._database.reading() as connection:
            text = connection.execute(statement).scalar_one_or_none()
        return None if text is None else json.loads(text)

    def set_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute."""
        self._set(STUDY_SYSTEM_ATTRS, study_id, key, value)

    def _set(self, table: Any, study_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        update = (
            sqlalchemy.update(table)
            .where(table.c.study_id == study_id, table.c.key == key)
            .values(value_json=text)
        )
        insert = sqlalchemy.insert(table).values(study_id=study_id, key=key, value_json=text)
        write_row(self._database, update, insert)
