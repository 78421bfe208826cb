"""A store's tables, copied from SQLite into PostgreSQL: much faster than filling it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy


def copy_tables(source: Path, target_url: str) -> None:
    """Replace the rows of all tables of a store.

    Args:
        source: SQLite file of a store that nobody has open.
        target_url: Of a PostgreSQL database that has the same tables.
    """
    tables = sqlalchemy.MetaData()
    read_engine = sqlalchemy.create_engine(f"sqlite:///{source}")
    write_engine = sqlalchemy.create_engine(target_url)
    tables.reflect(read_engine)
    with read_engine.connect() as read, write_engine.begin() as write:
        names = ", ".join(table.name for table in tables.sorted_tables)
        write.execute(sqlalchemy.text(f"TRUNCATE {names} CASCADE"))
        for table in tables.sorted_tables:
            _copy(table, read.connection.driver_connection, write.connection.driver_connection)
            for column in table.columns:
                if column.primary_key and isinstance(column.type, sqlalchemy.Integer):
                    _move_on(write, table.name, column.name)
    read_engine.dispose()
    write_engine.dispose()


def _copy(table: sqlalchemy.Table, read: Any, write: Any) -> None:
    columns = ", ".join(column.name for column in table.columns)
    with write.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN") as stream:
        for row in read.execute(f"SELECT {columns} FROM {table.name}"):
            stream.write_row(row)


def _move_on(connection: sqlalchemy.Connection, table: str, column: str) -> None:
    """Let new rows be numbered after those that were copied, where the database numbers them."""
    sequence = connection.scalar(
        sqlalchemy.text(f"SELECT pg_get_serial_sequence('{table}', '{column}')")
    )
    highest = connection.scalar(sqlalchemy.text(f"SELECT max({column}) FROM {table}"))
    if sequence is not None and highest is not None:
        connection.execute(sqlalchemy.text(f"SELECT setval('{sequence}', {int(highest)})"))
