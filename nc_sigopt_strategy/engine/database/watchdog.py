"""Lets nobody wait for ever for a database server that has fallen silent.

A server whose machine is gone or whose processes are stopped closes no connection, and its own
time-outs do not run either. TCP does not help: the kernel still acknowledges for a stopped
process. So what takes long is looked into: if the server does not even open a new connection
within seconds, those that wait for it are cut, and until it answers again nobody begins to wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy

from nc_sigopt_strategy.errors import StoreAwayError

# Connections are taken for one transaction, which takes milliseconds.
PATIENCE_SECONDS = 4.0
# Beyond this a connection is cut though the server lets others in: more than lock and statement
# time-outs take together.
LONGEST_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


class Watchdog:
    """Watches the connections of one database server; threads may share it.

    Its thread runs only while connections are taken or the server is silent.

    Args:
        reach: Opens and closes a connection of its own; raises within seconds if it cannot.
        store: What the store is called in messages.
        clock: Seconds.
    """

    def __init__(
        self, reach: Callable[[], None], store: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reach = reach
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        # By the pool's record of a connection: since when it is taken, and the connection.
        self._taken: dict[int, tuple[float, Any]] = {}
        self._silent = False
        self._running = False
        self._looked = 0.0

    def attach(self, engine: sqlalchemy.Engine) -> None:
        """Watch the connections of an engine; before other listeners, which may wait as well."""

        def taken(connection: Any, record: Any, proxy: Any) -> None:
            with self._lock:
                self._taken[id(record)] = (self._clock(), connection)
                if not self._running:
                    self._running = True
                    threading.Thread(target=self._run, name="watchdog", daemon=True).start()

        def given_back(connection: Any, record: Any, *_: Any) -> None:
            with self._lock:
                self._taken.pop(id(record), None)

        sqlalchemy.event.listen(engine, "checkout", taken, insert=True)
        sqlalchemy.event.listen(engine, "checkin", given_back)
        sqlalchemy.event.listen(engine, "invalidate", given_back)

    def check(self) -> None:
        """Refuse to begin what would only wait.

        Raises:
            StoreAwayError: The server was silent when it was last looked at.
        """
        if self._silent:
            raise StoreAwayError(
                f"The database server of the store {self._store} does not answer.",
                "Check that it is up: what was observed is kept.",
            )

    def look(self) -> None:
        """See to those that wait for long."""
        now = self._clock()
        with self._lock:
            waits = [now - since for since, _ in self._taken.values()]
        suspicious = max(waits, default=0.0) > PATIENCE_SECONDS
        # One more connection per look is nothing to a server that is only slow, but not for ever.
        if not (self._silent or (suspicious and now - self._looked > PATIENCE_SECONDS)):
            return
        self._looked = now
        silent = not self._answers()
        if silent != self._silent:
            _LOG.warning(
                "The database server of the store %s %s",
                self._store,
                "does not answer" if silent else "answers again",
            )
        self._silent = silent
        self._cut(PATIENCE_SECONDS if silent else LONGEST_SECONDS)

    def _answers(self) -> bool:
        try:
            self._reach()
        except Exception as error:
            # A server that says why it lets nobody in tells those who wait as well.
            return "timeout" not in str(error)
        return True

    def _cut(self, after: float) -> None:
        with self._lock:
            now = self._clock()
            for key, (since, connection) in list(self._taken.items()):
                if now - since > after:
                    del self._taken[key]
                    _shut(connection)

    def _run(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            self.look()
            with self._lock:
                if not self._taken and not self._silent:
                    self._running = False
                    return


def _shut(connection: Any) -> None:
    """End a connection under the thread that waits for it, which gets an error."""
    # It may have been closed this moment, and what closed it has told its thread.
    with contextlib.suppress(Exception):
        shared = socket.socket(fileno=os.dup(connection.fileno()))
        with shared:
            shared.shutdown(socket.SHUT_RDWR)
