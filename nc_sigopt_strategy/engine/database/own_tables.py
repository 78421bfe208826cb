"""Tables of ours beside Optuna's: what neither a study nor a trial can hold."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, cast

import sqlalchemy
from sqlalchemy import Column, Integer, MetaData, String, Table, Text

from nc_sigopt_strategy.engine.database.database import Database

JsonObject = dict[str, Any]

METADATA = MetaData()

# Optuna lets no attribute of a finished trial change. The study's name is part of the key since
# SQLite gives the ids of deleted trials to new ones.
_SUGGESTION_METADATA = Table(
    "nc_sigopt_suggestion_metadata",
    METADATA,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_name", String(512), primary_key=True),
    Column("metadata_json", Text, nullable=False),
)

_TAGS = Table(
    "nc_sigopt_tags",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("color", String(7), nullable=False),
)


class SuggestionMetadata:
    """Metadata of suggestions that was changed after they were made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, study_name: str, ids: Collection[int]) -> dict[int, JsonObject | None]:
        """Suggestion id to metadata, for those of ``ids`` whose metadata was changed."""
        if not ids:
            return {}
        columns = _SUGGESTION_METADATA.c
        statement = sqlalchemy.select(columns.trial_id, columns.metadata_json).where(
            columns.study_name == study_name, columns.trial_id.in_(ids)
        )
        with self._database.reading() as connection:
            return {row[0]: json.loads(row[1]) for row in connection.execute(statement)}

    def write(self, study_name: str, suggestion_id: int, metadata: JsonObject | None) -> None:
        """Replace the metadata of a suggestion."""
        columns = _SUGGESTION_METADATA.c
        key = (columns.study_name == study_name, columns.trial_id == suggestion_id)
        row = {"metadata_json": json.dumps(metadata)}
        update = sqlalchemy.update(_SUGGESTION_METADATA).where(*key).values(**row)
        insert = sqlalchemy.insert(_SUGGESTION_METADATA).values(
            trial_id=suggestion_id, study_name=study_name, **row
        )
        write_row(self._database, update, insert)


class Tags:
    """The client's tags."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, color: str) -> int:
        """Add a tag.

        Returns:
            Its id.

        Raises:
            sqlalchemy.exc.IntegrityError: There is one of this name.
        """
        with self._database.writing() as connection:
            made = connection.execute(sqlalchemy.insert(_TAGS).values(name=name, color=color))
            return inserted_id(made)

    def all(self) -> list[tuple[int, JsonObject]]:
        """Id and ``name`` and ``color`` of each, oldest first."""
        statement = sqlalchemy.select(_TAGS).order_by(_TAGS.c.id)
        with self._database.reading() as connection:
            return [
                (row.id, {"name": row.name, "color": row.color})
                for row in connection.execute(statement)
            ]


def inserted_id(made: sqlalchemy.CursorResult[Any]) -> int:
    """The primary key of the one row that was inserted."""
    (key,) = cast("tuple[int]", made.inserted_primary_key)
    return key


def write_row(database: Database, update: sqlalchemy.Update, insert: sqlalchemy.Insert) -> None:
    """Change a row, or add it when it is not there yet."""
    try:
        with database.writing() as connection:
            if connection.execute(update).rowcount == 0:
                connection.execute(insert)
    except sqlalchemy.exc.IntegrityError:
        # Another process added it between the two statements.
        with database.writing() as connection:
            connection.execute(update)
