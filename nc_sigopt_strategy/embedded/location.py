"""Where the store is: a database URL, how to show it, and what its errors mean."""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path

import sqlalchemy

from nc_sigopt_strategy.errors import StoreError

# How long one process waits for another one's write to the same SQLite file. A write takes
# milliseconds; a minute covers a machine that swaps.
SQLITE_BUSY_SECONDS = 60.0

_SECRET_QUERY_WORDS = ("password", "passwd", "pwd", "secret", "token")

# What SQLite says -> (what it means, the way out). ``{store}`` is where the store is.
_SQLITE_REASONS = (
    (
        "file is not a database",
        "{store} is not a database.",
        "Name another file, or move that one away: it is left as it was.",
    ),
    (
        "disk is full",
        "The store {store} cannot be written: the disk is full.",
        "Free some space and continue the experiment: what was observed is kept.",
    ),
    (
        "unable to open",
        "The store {store} cannot be opened or created.",
        "Check that its folder can be written, or name another file.",
    ),
    (
        "readonly",
        "The store {store} cannot be written: it is read-only.",
        "Make the file and its folder writable, or name another file.",
    ),
    (
        "locked",
        f"The store {{store}} has been locked by another process for {SQLITE_BUSY_SECONDS:.0f} s.",
        "Wait for that process or end it, or name another file.",
    ),
    (
        "malformed",
        "The store {store} is damaged.",
        "Restore it from a copy, or name another file.",
    ),
)


class Location:
    """A parsed storage URL.

    Args:
        storage_url: A database URL that SQLAlchemy understands, such as ``sqlite:///runs.db``.

    Attributes:
        url: The URL to connect with, SQLite paths made absolute.
        display: The same without a password; for a SQLite file with its full path.
        path: The SQLite file; ``None`` in memory and for other databases.
        is_sqlite: Whether it is SQLite at all.

    Raises:
        StoreError: It is not a URL.
    """

    def __init__(self, storage_url: str) -> None:
        try:
            url = sqlalchemy.make_url(storage_url)
        except (sqlalchemy.exc.ArgumentError, ValueError, TypeError, AttributeError):
            # The text may hold a password, so neither it nor the cause is shown.
            raise StoreError(
                "The storage setting is not a database URL.",
                "Write a SQLite file as sqlite:///path/to/file.db.",
            ) from None
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.path: Path | None = None
        database = url.database or ":memory:"
        if self.is_sqlite and database != ":memory:":
            self.path = Path(database).expanduser().absolute()
            url = url.set(database=str(self.path))
        self.url = url
        self.display = _without_secrets(url) if self.path is None else f"sqlite:///{self.path}"

    def explain(self, error: BaseException) -> StoreError:
        """The error that a user sees for one of the database's."""
        text = _root_message(error)
        place = str(self.path or self.display)
        if self.is_sqlite:
            for sign, fact, hint in _SQLITE_REASONS:
                if sign in text:
                    return StoreError(fact.format(store=place), hint)
        if self.url.password:
            text = text.replace(str(self.url.password), "***")
        return StoreError(
            f"The store {place} failed: {text}", "Check that the database is up and writable."
        )

    def prepare(self) -> None:
        """Create the folder of a SQLite file and check that the file can be written.

        Raises:
            StoreError: It cannot, or it is not a database.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The store {self.path} cannot be created: its folder cannot be made "
                f"({error.strerror}: {error.filename}).",
                "Name a file in a folder that can be written.",
            ) from error
        try:
            connection = self.connect()
            try:
                # Write something and take it back: the only sure test of being writable, since
                # SQLite lets even BEGIN IMMEDIATE pass on a read-only file.
                connection.execute("BEGIN IMMEDIATE")
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                connection.execute(f"PRAGMA user_version = {int(version)}")
                connection.execute("ROLLBACK")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self.explain(error) from error

    def connect(self) -> sqlite3.Connection:
        """A connection to the SQLite database, set up for several processes.

        Write-ahead logging lets readers go on during a write. ``synchronous=FULL`` makes a
        commit survive a power cut as well as a killed process.
        """
        # Threads take turns on a connection (SQLAlchemy's pool sees to it), so the check that
        # one thread only ever uses it is off.
        connection = sqlite3.connect(
            str(self.path or ":memory:"),
            timeout=SQLITE_BUSY_SECONDS,
            check_same_thread=False,
        )
        try:
            _log_ahead(connection)
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, waiting for processes that open the new file as well.

    SQLite does not apply its busy timeout to this switch: it answers "locked" at once.
    """
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.01, 0.05))


def _without_secrets(url: sqlalchemy.URL) -> str:
    query = {
        key: "***" if any(word in key.lower() for word in _SECRET_QUERY_WORDS) else value
        for key, value in url.query.items()
    }
    return url.set(query=query).render_as_string(hide_password=True)


def _root_message(error: BaseException) -> str:
    """What the database itself said, under the layers of SQLAlchemy and Optuna."""
    while True:
        inner = getattr(error, "orig", None) or error.__cause__
        if inner is None:
            return str(error)
        error = inner
