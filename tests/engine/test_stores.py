"""Opening stores: where they are, how they are set up, and what is said about bad ones."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sigopt
from sigopt.exception import SigOptException
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.errors import SettingsError, StoreError
from tests.engine.examples import discrete, opened
from tests.engine.processes import Child, connect

SCORE = [{"name": "score", "value": 1.0}]


def _refused(where: str | Location, *words: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        EmbeddedDriver(where) if isinstance(where, str) else opened(where)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.hint
    return caught.value


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def test_folders_are_created_and_the_file_uses_wal(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "store with {braces}.db"
    storage, driver = opened(f"sqlite:///{path}")
    assert driver.storage_url == f"sqlite:///{path}"
    with _database(path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    driver.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_relative_path_is_shown_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    driver = EmbeddedDriver("sqlite:///runs.db")
    assert driver.storage_url == f"sqlite:///{tmp_path}/runs.db"
    monkeypatch.chdir("/")
    client, _ = connect(driver.storage_url)
    assert client.experiments().fetch().count == 0
    driver.close()


def test_not_a_database(tmp_path: Path) -> None:
    for name, text in {"long.db": "These are my notes.\n" * 100, "short.db": "notes"}.items():
        path = tmp_path / name
        path.write_text(text)
        _refused(f"sqlite:///{path}", str(path), "not a database", "another file")
        assert path.read_text() == text
        assert len(list(tmp_path.glob(f"{name}*"))) == 1


def test_parent_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "sub" / "store.db"
    _refused(f"sqlite:///{path}", str(path), "cannot be created", "folder")


def test_path_is_a_folder(tmp_path: Path) -> None:
    _refused(f"sqlite:///{tmp_path}", str(tmp_path), "cannot be opened")


@pytest.mark.parametrize("read_only", ["file", "folder"])
def test_read_only(tmp_path: Path, read_only: str) -> None:
    path = tmp_path / "folder" / "store.db"
    EmbeddedDriver(f"sqlite:///{path}").close()
    path.chmod(0o444 if read_only == "file" else 0o666)
    path.parent.chmod(0o555 if read_only == "folder" else 0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)  # pytest keeps others out of its own folders

    def open_it() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)  # root may write anything: be nobody
        words = ("read-only",) if read_only == "file" else ("store.db", "writ")
        _refused(f"sqlite:///{path}", str(path), *words)

    assert Child(open_it).wait() == 0


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("v99.0.0", ("newer Optuna", "v99.0.0", "pip install -U optuna")),
        ("v2.6.0.a", ("older Optuna", "v2.6.0.a", "optuna storage upgrade --storage sqlite:///")),
    ],
)
def test_other_schema_version(tmp_path: Path, version: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "store.db"
    EmbeddedDriver(f"sqlite:///{path}").close()
    with _database(path) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (version,))
    _refused(f"sqlite:///{path}", str(path), *words)


def test_experiment_of_a_later_format(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    client, driver = connect(f"sqlite:///{path}")
    experiment = client.experiments().create(**discrete(2)).id
    with _database(path) as database:
        database.execute("""UPDATE study_user_attributes SET value_json = '{"format": 99}'""")
    with pytest.raises(SigOptException, match="has format 99, this version reads up to") as caught:
        client.experiments(experiment).fetch()
    assert isinstance(caught.value.__cause__, StoreError)
    driver.close()


class _FullDisk(Location):
    """Connections to a file that cannot grow."""

    def connect(self) -> sqlite3.Connection:
        connection = super().connect()
        connection.execute("PRAGMA max_page_count = 1")  # no page more than there are
        return connection


def test_full_disk_loses_nothing_observed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    client, driver = connect(url)
    experiment = client.experiments().create(**discrete(3)).id
    driver.close()

    _, driver = opened(_FullDisk(url))
    client = sigopt.Connection(driver=lambda **_: driver)
    endpoint = client.experiments(experiment)
    stored: list[str] = []

    def fill_the_disk() -> None:
        for _ in range(1000):
            observation = endpoint.observations().create(
                assignments={"p0": "v0"}, values=SCORE, metadata={"k": "v" * 500}
            )
            stored.append(observation.id)

    with pytest.raises(SigOptException, match="disk is full") as caught:
        fill_the_disk()
    assert isinstance(caught.value.__cause__, StoreError)
    assert str(tmp_path / "store.db") in str(caught.value)
    assert "Free some space" in str(caught.value)
    driver.close()

    client, driver = connect(url)
    endpoint = client.experiments(experiment)
    kept = [item.id for item in endpoint.observations().fetch().iterate_pages()]
    assert kept == stored[::-1]
    endpoint.observations().create(assignments={"p0": "v0"}, values=SCORE)
    driver.close()


def test_locked_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    EmbeddedDriver(f"sqlite:///{path}").close()
    with _database(path) as other:
        other.execute("BEGIN IMMEDIATE")
        location = Location(f"sqlite:///{path}", busy_seconds=0.1)
        _refused(location, str(path), "locked by another process")


def test_passwords_are_never_shown() -> None:
    for url in (
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "nosuchdb://user:hunter2@127.0.0.1/db",
        "user:hunter2@host:not a url",
    ):
        error = _refused(url)
        assert "hunter2" not in f"{error} {error.args} {error.hint}"
    shown = Location("postgresql://user:hunter2@host/db?sslpassword=hunter3&port=1").display
    assert "hunter" not in shown
    assert shown.startswith("postgresql://user:***@host/db")


@pytest.mark.parametrize("seed", [True, 1.5, "1"])
def test_seed_of_another_type(seed: Any) -> None:
    with pytest.raises(SettingsError, match="seed"):
        EmbeddedDriver("sqlite://", seed=seed)


def test_unknown_sampler_touches_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'tpe'"):
        EmbeddedDriver(f"sqlite:///{tmp_path / 'x.db'}", sampler="tpee")
    assert not list(tmp_path.iterdir())


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    client, driver = connect(f"sqlite:///{tmp_path / 'x.db'}", seed=1)
    endpoint = client.experiments(client.experiments().create(**discrete(9, 9)).id)
    for _ in range(12):
        suggestion = endpoint.suggestions().create().id
        endpoint.observations().create(suggestion=suggestion, values=SCORE)
    driver.close()
    assert capfd.readouterr() == ("", "")


def test_a_kept_connection_that_has_broken_is_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy lets the driver's own error through where it sets the isolation level."""
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/store.sqlite3")
    path = ["experiments", driver.answer("POST", ["experiments"], discrete(2))["id"]]

    def lost(*_: Any) -> None:
        raise sqlite3.OperationalError("the connection is lost")

    with monkeypatch.context() as broken:
        broken.setattr(SQLiteDialect_pysqlite, "set_isolation_level", lost)
        with pytest.raises(StoreError, match="the connection is lost"):
            driver.answer("GET", path, {})
    assert driver.answer("GET", path, {})["id"] == path[1]
    driver.close()
