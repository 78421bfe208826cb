"""Connections to the store's database, for many threads at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import sqlalchemy

# PostgreSQL's integer columns end here, and an id beyond it makes the driver raise an error.
MAX_ID = 2**31 - 1


class Database:
    """Hands out connections. A thread holds one at a time.

    Args:
        engine: SQLAlchemy's engine.
        in_memory: Whether it is an SQLite database in memory, whose one connection all threads
            share.
        check: Raises where the database is not the one that was opened; see ``Location.watch``.
    """

    def __init__(
        self,
        engine: sqlalchemy.Engine,
        *,
        in_memory: bool,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        # A read is one statement, or several that allow for changes between them.
        self._readers = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._in_memory = in_memory
        self._check = check
        self._turn = threading.RLock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlalchemy.Connection]:
        """A connection on which each statement is a transaction of its own.

        Raises:
            StoreGoneError: The database is not the one that was opened.
        """
        self._check()
        if self._in_memory:
            # Not in autocommit: that would change the connection under everybody.
            with self._turn, self.engine.connect() as connection:
                yield connection
        else:
            try:
                with self._readers.connect() as connection:
                    yield connection
            except self.engine.dialect.loaded_dbapi.Error as error:
                # A kept connection has broken: SQLAlchemy lets the driver's error through where
                # it sets the isolation level. It drops the connection; the next one is a new one.
                raise sqlalchemy.exc.OperationalError(None, None, error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlalchemy.Connection]:
        """A transaction: committed at the end, rolled back after an exception.

        Raises:
            StoreGoneError: The database is not the one that was opened, before or afterwards.
        """
        with self.alone(), self.engine.begin() as connection:
            self._check()
            yield connection
        # Nothing is confirmed that went into a file which nobody will find.
        self._check()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep this process's other writers away where the database has room for one only.

        SQLite would let them poll for its lock with growing pauses, and some would starve.
        """
        if self.is_sqlite:
            with self._turn:
                yield
        else:
            yield
