"""A store that was written before stays readable: the tables and what is kept in them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.own_tables import METADATA
from nc_sigopt_strategy.errors import StoreError

DATA = Path(__file__).parent / "data"
TUNE = ["experiments", "2"]


@pytest.fixture(params=["sqlite", "postgresql"])
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a copy of what commit e2c1719 wrote, in either database."""
    path = tmp_path / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript((DATA / "store_e2c1719.sql").read_text())
        if request.param == "sqlite":
            return f"sqlite:///{path}"
        url = str(request.getfixturevalue("postgresql_url"))
        _carry_over(database, url)
    return url


def _carry_over(old: sqlite3.Connection, url: str) -> None:
    """Put the rows of an old store into PostgreSQL, into tables of their own form."""
    engine = optuna.storages.RDBStorage(url).engine
    listed = old.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    tables = {name: old.execute(f"SELECT * FROM {name}") for (name,) in listed}
    for name, rows in tables.items():
        columns = {column[0] for column in rows.description}
        if (own := METADATA.tables.get(name)) is not None:
            assert set(own.columns.keys()) == columns
            own.create(engine)
    with engine.begin() as connection:
        # What others refer to comes first.
        order = sorted(tables, key=lambda name: (name != "studies", name != "trials"))
        for name in order:
            rows = tables[name]
            connection.execute(sqlalchemy.text(f"DELETE FROM {name}"))
            columns = [column[0] for column in rows.description]
            places = ", ".join(f":{column}" for column in columns)
            insert = sqlalchemy.text(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})"
            )
            for row in rows:
                connection.execute(insert, dict(zip(columns, row, strict=True)))
        for table in sqlalchemy.inspect(connection).get_table_names():
            for column in sqlalchemy.inspect(connection).get_columns(table):
                if "nextval" in str(column["default"]):
                    connection.execute(
                        sqlalchemy.text(
                            f"SELECT setval(pg_get_serial_sequence('{table}', "
                            f"'{column['name']}'), max({column['name']}) + 1) FROM {table} "
                            "HAVING max(1) IS NOT NULL"
                        )
                    )
    engine.dispose()


@pytest.fixture
def driver(old_store: str) -> Iterator[EmbeddedDriver]:
    """The engine on the old store."""
    made = EmbeddedDriver(old_store, seed=1)
    yield made
    made.close()


def test_it_answers_as_it_did_then(driver: EmbeddedDriver) -> None:
    then = json.loads((DATA / "store_e2c1719.json").read_text())
    assert len(then) > 20
    for view in then:
        now = _without_grid_bounds(driver.answer("GET", view["path"], {}))
        if now["object"] == "pagination":
            # Since then the first page tells its newest item, to ask later what came after it.
            newest = now["paging"].pop("after")
            if view["path"][-1] != "best_assignments":
                assert (newest is None) == (now["data"] == [])
            del view["answer"]["paging"]["after"]
        assert now == view["answer"], view["path"]


def _without_grid_bounds(answer: Any) -> Any:
    """The answer as it was then: a parameter with a grid had no bounds."""
    if isinstance(answer, list):
        return [_without_grid_bounds(entry) for entry in answer]
    if not isinstance(answer, dict):
        return answer
    bounds = {"bounds": None} if answer.get("object") == "parameter" and "grid" in answer else {}
    return {key: _without_grid_bounds(entry) for key, entry in answer.items()} | bounds


def test_it_goes_on(driver: EmbeddedDriver) -> None:
    before = driver.answer("GET", TUNE, {})
    assert before["name"] == "tune"
    queued = driver.answer("POST", [*TUNE, "suggestions"], {})
    assert set(queued["assignments"].values()) == {"bf16"}
    sampled = driver.answer("POST", [*TUNE, "suggestions"], {})
    names = ("accuracy", "latency", "output_noise")
    for made in (queued, sampled):
        found = [{"name": name, "value": 1.0} for name in names]
        report = {"suggestion": made["id"], "values": found}
        driver.answer("POST", [*TUNE, "observations"], report)
    after = driver.answer("GET", TUNE, {})
    counts = [found["progress"]["observation_count"] for found in (before, after)]
    assert counts[1] == counts[0] + 2
    known = driver.answer("GET", [*TUNE, "suggestions"], {})["data"]
    others = [made["assignments"] for made in known if made["id"] != sampled["id"]]
    assert len(others) == 11
    assert sampled["assignments"] not in others


def test_it_takes_what_is_new_since(driver: EmbeddedDriver, old_store: str) -> None:
    project = driver.answer("GET", TUNE, {})["project"]
    if project is None:
        project = driver.answer("POST", ["clients", "1", "projects"], {"id": "p", "name": "P"})[
            "id"
        ]
    owner = ["clients", "1", "projects", project]
    parameters = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    body = {"name": "runs", "parameters": parameters, "metrics": [{"name": "m"}], "budget": 9}
    made = driver.answer("POST", [*owner, "aiexperiments"], body)["id"]
    run = driver.answer("POST", ["aiexperiments", made, "training_runs"], {"name": "r"})
    ended = {"values": {"m": {"value": 1.0}}, "state": "completed"}
    driver.answer("POST", ["training_runs", run["id"], "checkpoints"], {"values": []})
    driver.answer("MERGE", ["training_runs", run["id"]], ended)
    observed = ["experiments", "2", "observations"]
    newest = driver.answer("GET", observed, {})["data"][0]["id"]
    driver.answer("PUT", [*observed, newest], {"metadata": {"changed": "yes"}})
    other = EmbeddedDriver(old_store, seed=1)
    again = other.answer("GET", ["training_runs", run["id"]], {})
    assert (again["state"], again["checkpoint_count"]) == ("completed", 1)
    assert other.answer("GET", ["experiments", made, "observations"], {})["count"] == 1
    changed = other.answer("GET", [*observed, newest], {})
    assert changed["metadata"] == {"changed": "yes"}
    other.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE nc_sigopt_runs ADD COLUMN later INTEGER",
        "ALTER TABLE nc_sigopt_tags RENAME COLUMN color TO colour",
    ],
)
def test_one_of_a_newer_version_is_refused(old_store: str, change: str) -> None:
    EmbeddedDriver(old_store).close()
    engine = optuna.storages.RDBStorage(old_store).engine
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(change))
    engine.dispose()
    with pytest.raises(StoreError, match="made by another version") as caught:
        EmbeddedDriver(old_store)
    assert caught.value.hint == "Update this package, or name another store."
