"""Connections to a database server that were not used for a while are tried before they are used.

A restart of the server breaks the connections in the pool. Trying each one each time would double
the journeys to the server.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy

_IDLE_SECONDS = 1.0
_USED = "nc_sigopt_used"


def check_idle_connections(engine: sqlalchemy.Engine) -> None:
    """Let an engine replace idle connections that have broken."""

    def taken(connection: Any, record: Any, proxy: Any) -> None:
        if time.monotonic() - record.info.get(_USED, 0.0) < _IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool answers this with a new connection.
            raise sqlalchemy.exc.DisconnectionError(str(error)) from error

    def given_back(connection: Any, record: Any) -> None:
        record.info[_USED] = time.monotonic()

    sqlalchemy.event.listen(engine, "checkout", taken)
    sqlalchemy.event.listen(engine, "checkin", given_back)
