"""The PostgreSQL that other tests get is a real one, and survives what they do to it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL


def _query(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []


def test_each_test_has_a_database_of_its_own(postgresql: PostgreSQL, postgresql_url: str) -> None:
    _query(postgresql_url, "CREATE TABLE kept (value int)")
    other = postgresql.database("another")
    assert _query(other, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == [(0,)]


def test_it_is_durable_private_and_unprivileged(postgresql_url: str) -> None:
    assert _query(postgresql_url, "SHOW fsync") == [("on",)]
    assert _query(postgresql_url, "SHOW synchronous_commit") == [("on",)]
    assert _query(postgresql_url, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert _query(
        postgresql_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    ) == [(False,)]
    wrong = sqlalchemy.make_url(postgresql_url).set(password="wrong")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password"):
        _query(wrong.render_as_string(hide_password=False), "SELECT 1")


def test_it_does_not_run_as_root(postgresql: PostgreSQL) -> None:
    process = postgresql._process
    assert process is not None
    owner = Path(f"/proc/{process.pid}").stat().st_uid
    assert owner != 0
    assert pwd.getpwuid(owner).pw_name in ("postgres", "nobody") or owner == os.geteuid()


@pytest.mark.parametrize("way", ["restart", "kill_and_start"])
def test_what_was_committed_survives(
    postgresql: PostgreSQL, postgresql_url: str, way: str
) -> None:
    _query(postgresql_url, "CREATE TABLE kept (value int)")
    url = sqlalchemy.make_url(postgresql_url)
    connection = psycopg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    )
    connection.execute("INSERT INTO kept VALUES (7)")
    getattr(postgresql, way)()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("INSERT INTO kept VALUES (8)")
    assert _query(postgresql_url, "SELECT value FROM kept") == [(7,)]
