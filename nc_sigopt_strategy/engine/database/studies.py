"""Optuna's studies and their attributes, read and written without its sessions.

Optuna reads all attributes of all studies to list one; a statement per question is enough here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from sqlalchemy import Column, Integer, Table

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.optuna_tables import (
    STUDIES,
    STUDY_DIRECTIONS,
    STUDY_SYSTEM_ATTRS,
    STUDY_USER_ATTRS,
)
from nc_sigopt_strategy.engine.database.own_tables import METADATA, write_row

_DESCRIBED = sqlalchemy.select(
    STUDIES.c.study_id, STUDIES.c.study_name, STUDY_USER_ATTRS.c.value_json
).join(STUDY_USER_ATTRS, STUDY_USER_ATTRS.c.study_id == STUDIES.c.study_id)

# Ids that were given to studies of ours, kept when those are deleted.
_USED_IDS = Table(
    "nc_sigopt_study_ids",
    METADATA,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
)


class Studies:
    """The studies of a store.

    Args:
        database: Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, directions: Sequence[str], attr: str, value: Any) -> int:
        """Create a study with a user attribute, both or neither.

        Args:
            name: Its name, unique in the database.
            directions: ``minimize`` or ``maximize`` per objective.
            attr: The user attribute.
            value: What it holds.

        Returns:
            Its id. No other study has it or will have it, also after this one is deleted.

        Raises:
            optuna.exceptions.DuplicatedStudyError: The name is taken.
        """
        try:
            with self._database.writing() as connection:
                study_id = self._insert(connection, name)
                connection.execute(
                    sqlalchemy.insert(STUDY_DIRECTIONS),
                    [
                        {
                            "study_id": study_id,
                            "objective": index,
                            "direction": StudyDirection[direction.upper()],
                        }
                        for index, direction in enumerate(directions)
                    ],
                )
                connection.execute(
                    sqlalchemy.insert(STUDY_USER_ATTRS).values(
                        study_id=study_id, key=attr, value_json=json.dumps(value)
                    )
                )
        except sqlalchemy.exc.IntegrityError as error:
            raise DuplicatedStudyError(f"There is a study {name!r} already.") from error
        return study_id

    def _insert(self, connection: sqlalchemy.Connection, name: str) -> int:
        if not self._database.is_sqlite:
            made = sqlalchemy.insert(STUDIES).values(study_name=name).returning(STUDIES.c.study_id)
            return int(connection.execute(made).scalar_one())
        # SQLite would give the id of a deleted study again, and with it whatever its clients
        # still have to report.
        used = sqlalchemy.select(sqlalchemy.func.max(_USED_IDS.c.study_id)).scalar_subquery()
        there = sqlalchemy.select(sqlalchemy.func.max(STUDIES.c.study_id)).scalar_subquery()
        highest = sqlalchemy.func.max(
            sqlalchemy.func.coalesce(used, 0), sqlalchemy.func.coalesce(there, 0)
        )
        connection.execute(sqlalchemy.insert(_USED_IDS).values(study_id=highest + 1))
        study_id = int(
            connection.execute(
                sqlalchemy.select(sqlalchemy.func.max(_USED_IDS.c.study_id))
            ).scalar_one()
        )
        connection.execute(sqlalchemy.insert(STUDIES).values(study_id=study_id, study_name=name))
        return study_id

    def any(self) -> bool:
        """Whether there is a study at all."""
        statement = sqlalchemy.select(STUDIES.c.study_id).limit(1)
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

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

    def replace_user_attr(self, study_id: int, key: str, before: str, value: Any) -> bool:
        """Set a user attribute unless another writer has set it since it was read.

        Args:
            study_id: The study.
            key: The attribute.
            before: Its JSON as it was read.
            value: The new value.

        Returns:
            False if it is not as it was read; nothing is written then.
        """
        attrs = STUDY_USER_ATTRS.c
        # One statement, so that the database itself decides between two writers.
        update = (
            sqlalchemy.update(STUDY_USER_ATTRS)
            .where(attrs.study_id == study_id, attrs.key == key, attrs.value_json == before)
            .values(value_json=json.dumps(value))
        )
        with self._database.writing() as connection:
            return connection.execute(update).rowcount == 1

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
