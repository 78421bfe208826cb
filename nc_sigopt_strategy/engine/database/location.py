"""Where the store is: a database URL, how to show it, and what its errors mean."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import sqlalchemy

from nc_sigopt_strategy.engine.database.reasons import (
    POSTGRESQL_HOPELESS,
    POSTGRESQL_REASONS,
    SQLITE_REASONS,
    Reason,
)
from nc_sigopt_strategy.engine.database.watchdog import Watchdog
from nc_sigopt_strategy.errors import StoreError, StoreGoneError
from nc_sigopt_strategy.files import make_private_file, make_private_folder

# A write takes milliseconds; a minute covers a machine that swaps.
SQLITE_BUSY_SECONDS = 60.0
# The same on PostgreSQL: waiting for a lock of somebody else's, and a statement as a whole.
LOCK_SECONDS, STATEMENT_SECONDS = 10, 30
# How long a database server may take to let somebody in; the same where others wait as well.
CONNECT_SECONDS, IMPATIENT_SECONDS = 10, 5

_SECRET_QUERY_WORDS = ("password", "passwd", "pwd", "secret", "token")

_POSTGRESQL_NAMES = ("postgresql", "postgres", "postgres+psycopg")


class Location:
    """A parsed storage URL.

    Args:
        storage_url: A database URL that SQLAlchemy understands, such as ``sqlite:///runs.db``.
        busy_seconds: How long one process waits for another one's write to the same SQLite file.
        impatient: Whether a database server that has fallen silent is an error within seconds, for
            a process with clients of its own. A run waits: it has nobody else to answer.

    Attributes:
        url: The URL to connect with, SQLite paths made absolute.
        display: The same without a password; for a SQLite file with its full path.
        path: The SQLite file; ``None`` in memory and for other databases.
        is_sqlite: Whether it is SQLite at all.

    Raises:
        StoreError: It is not a URL.
    """

    def __init__(
        self,
        storage_url: str,
        *,
        busy_seconds: float = SQLITE_BUSY_SECONDS,
        impatient: bool = False,
    ) -> None:
        self._busy_seconds = busy_seconds
        self._connect_seconds = IMPATIENT_SECONDS if impatient else CONNECT_SECONDS
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
            if "?" in storage_url and not url.query:
                raise StoreError(
                    f"The storage URL of {database} has a '?' in the name of a folder or file, "
                    "where its query would begin.",
                    "Write it as %3F.",
                )
            try:
                self.path = Path(database).expanduser().absolute()
            except RuntimeError as error:
                raise StoreError(
                    f"The store {database} has no place: there is no home folder for its '~'.",
                    "Set HOME, or write the whole path.",
                ) from error
            url = url.set(database=str(self.path))
        self.display = _without_secrets(url) if self.path is None else sqlite_url(self.path)
        if url.drivername in _POSTGRESQL_NAMES:
            url = url.set(drivername="postgresql+psycopg")
        self.url = url
        # One for all that use this location, so that what one has found out the others know.
        self._watchdog = (
            Watchdog(self.reach, self.display) if impatient and self.is_postgresql else None
        )

    @property
    def is_postgresql(self) -> bool:
        """Whether it is PostgreSQL."""
        return self.url.get_backend_name() == "postgresql"

    @property
    def connect_args(self) -> dict[str, Any]:
        """Arguments for the database driver."""
        if self.url.drivername != "postgresql+psycopg":
            return {}
        given = self.url.query
        wanted = {
            "connect_timeout": self._connect_seconds,
            "application_name": "nc_sigopt_strategy",
            "options": (
                f"-c lock_timeout={LOCK_SECONDS}s -c statement_timeout={STATEMENT_SECONDS}s"
            ),
        }
        return {key: value for key, value in wanted.items() if key not in given}

    @property
    def driver_hint(self) -> str:
        """What to install when the database driver is missing."""
        if self.is_postgresql:
            return "Install it with: pip install 'nc_sigopt_strategy[postgresql]'"
        return "Install the Python package for that database."

    def explain(self, error: BaseException) -> StoreError:
        """The error that a user sees for one of the database's."""
        text = " ".join(_root_message(error).split())
        place = str(self.path or self.display)
        reasons: tuple[Reason, ...] = ()
        if self.is_sqlite:
            reasons = SQLITE_REASONS
        elif self.is_postgresql:
            reasons = POSTGRESQL_REASONS
        for sign, fact, hint, kind in reasons:
            if sign in text:
                names = {
                    "store": place,
                    "database": self.url.database,
                    "user": self.url.username,
                    "busy": self._busy_seconds,
                    "lock": LOCK_SECONDS,
                    "statement": STATEMENT_SECONDS,
                }
                return kind(fact.format(**names), hint.format(**names))
        if self.url.password:
            for shown in {str(self.url.password), quote_plus(str(self.url.password))}:
                text = text.replace(shown, "***")
        return StoreError(
            f"The store {place} failed: {text}", "Check that the database is up and writable."
        )

    def is_hopeless(self, error: BaseException) -> bool:
        """Whether it is of no use to try again."""
        if isinstance(error, sqlalchemy.exc.ArgumentError):
            return True
        text = _root_message(error)
        return self.is_postgresql and any(sign in text for sign in POSTGRESQL_HOPELESS)

    def prepare(self) -> None:
        """Create the folder of a SQLite file and check that the file can be written.

        Raises:
            StoreError: It cannot, or it is not a database.
        """
        if self.path is None:
            return
        try:
            make_private_folder(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"The store {self.path} cannot be created: its folder cannot be made "
                f"({error.strerror}: {error.filename}).",
                "Name a file in a folder that can be written.",
            ) from error
        # SQLite would let all users of the machine read it. Its logs get the same rights. What is
        # in the way SQLite tells.
        with contextlib.suppress(OSError):
            make_private_file(self.path)
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

    def watch(self) -> Callable[[], None]:
        """A check that the store is still there, as cheap as can be.

        Of SQLite, that its file is the one that it is now: a connection goes on working on a file
        that was deleted, and loses all with its end. Of PostgreSQL, that the server was not
        found to be silent.

        Returns:
            The check, which raises ``StoreGoneError`` or ``StoreAwayError``.
        """
        if self._watchdog is not None:
            return self._watchdog.check
        path = self.path
        if path is None:
            return lambda: None
        known = _identity(path)

        def check() -> None:
            if _identity(path) != known:
                raise StoreGoneError(
                    f"The store {path} was deleted or replaced while it was open.",
                    "Put the file back, with its -wal beside it, and start again.",
                )

        return check

    def guard(self, engine: sqlalchemy.Engine) -> None:
        """Let nobody wait for ever for a database server that has fallen silent."""
        if self._watchdog is not None:
            self._watchdog.attach(engine)

    def reach(self) -> None:
        """Let the database server open a connection, and close it.

        Raises:
            Exception: The driver's, if it does not.
        """
        dialect: Any = self.url.get_dialect()
        loaded = dialect(dbapi=dialect.import_dbapi())
        arguments, options = loaded.create_connect_args(self.url)
        loaded.connect(*arguments, **{**options, **self.connect_args}).close()

    def connect(self) -> sqlite3.Connection:
        """A connection to the SQLite database, set up for several processes.

        Write-ahead logging lets readers go on during a write. ``synchronous=FULL`` makes a
        commit survive a power cut as well as a killed process.
        """
        # Threads take turns on a connection (SQLAlchemy's pool sees to it), so the check that
        # one thread only ever uses it is off.
        connection = sqlite3.connect(
            str(self.path or ":memory:"),
            timeout=self._busy_seconds,
            check_same_thread=False,
        )
        try:
            _log_ahead(connection, self._busy_seconds)
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def sqlite_url(path: Path) -> str:
    """The storage URL of a SQLite file, whatever characters its path has."""
    # A "?" would begin the query, and "%" an escape of whoever unquotes.
    return f"sqlite:///{str(path).replace('%', '%25').replace('?', '%3F')}"


def _log_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch to write-ahead logging, waiting for processes that open the new file as well.

    SQLite does not apply its busy timeout to this switch: it answers "locked" at once.
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.01, 0.05))


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name; ``None`` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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
