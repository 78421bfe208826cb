"""Optuna's studies and their attributes, read and written without its sessions.

Optuna reads all attributes of all studies to list one; a statement per question is enough here.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models  # the tables have no public name
from optuna.study import StudyDirection

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.opening import quiet_optuna
from nc_sigopt_strategy.engine.database.own_tables import write_row

_STUDIES = models.StudyModel.__table__
_USER = models.StudyUserAttributeModel.__table__
_SYSTEM = models.StudySystemAttributeModel.__table__

_DESCRIBED = sqlalchemy.select(
    _STUDIES.c.study_id, _STUDIES.c.study_name, _USER.c.value_json
).join(_USER, _USER.c.study_id == _STUDIES.c.study_id)


class Studies:
    """The studies of a store.

    Args:
        backend: Optuna's storage.
        database: The same database.
    """

    def __init__(self, backend: RDBStorage, database: Database) -> None:
        self._backend = backend
        self._database = database

    def create(self, name: str, directions: list[str]) -> int:
        """Create a study.

        Returns:
            Its id.

        Raises:
            optuna.exceptions.DuplicatedStudyError: The name is taken.
        """
        with self._database.alone(), quiet_optuna():
            return self._backend.create_new_study(
                [StudyDirection[direction.upper()] for direction in directions], name
            )

    def id_of(self, name: str) -> int:
        """The id of the study with this name, which must exist."""
        statement = sqlalchemy.select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name)
        with self._database.reading() as connection:
            return int(connection.execute(statement).scalar_one())

    def user_attr(self, study_id: int, key: str) -> tuple[str, str] | None:
        """The study's name and one of its user attributes, as JSON; ``None`` without it."""
        statement = _DESCRIBED.where(_STUDIES.c.study_id == study_id, _USER.c.key == key)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else (row.study_name, row.value_json)

    def with_user_attr(self, key: str) -> list[tuple[int, str, str]]:
        """Id, name and this attribute as JSON of all studies that have it, oldest first."""
        statement = _DESCRIBED.where(_USER.c.key == key).order_by(_STUDIES.c.study_id)
        with self._database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def user_attrs_beginning(self, study_id: int, prefix: str) -> dict[str, Any]:
        """The user attributes of a study whose keys begin so, by the rest of the key."""
        statement = sqlalchemy.select(_USER.c.key, _USER.c.value_json).where(
            _USER.c.study_id == study_id, _USER.c.key.startswith(prefix, autoescape=True)
        )
        with self._database.reading() as connection:
            return {
                key[len(prefix) :]: json.loads(text) for key, text in connection.execute(statement)
            }

    def set_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute."""
        self._set(_USER, study_id, key, value)

    def system_attr(self, study_id: int, key: str) -> Any:
        """A system attribute; ``None`` without it."""
        statement = sqlalchemy.select(_SYSTEM.c.value_json).where(
            _SYSTEM.c.study_id == study_id, _SYSTEM.c.key == key
        )
        with self._database.reading() as connection:
            text = connection.execute(statement).scalar_one_or_none()
        return None if text is None else json.loads(text)

    def set_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a system attribute."""
        self._set(_SYSTEM, study_id, key, value)

    def _set(self, table: Any, study_id: int, key: str, value: Any) -> None:
        text = json.dumps(value)
        update = (
            sqlalchemy.update(table)
            .where(table.c.study_id == study_id, table.c.key == key)
            .values(value_json=text)
        )
        insert = sqlalchemy.insert(table).values(study_id=study_id, key=key, value_json=text)
        write_row(self._database, update, insert)
