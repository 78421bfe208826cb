"""Real processes that work on a store and may be killed at a chosen SQL statement."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sigopt
import sqlalchemy

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.store import Store


class Child:
    """A forked process that runs one task and exits with 0, or with 1 after an exception."""

    def __init__(self, task: Callable[[], None]) -> None:
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            task()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)  # nothing of the test run's own clean-up

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def die_at(step: int) -> None:
    """Let this process kill itself with SIGKILL before its ``step``-th SQL statement or commit."""
    count = 0

    def tick(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", tick)
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", tick)


def connect(storage: str | Store, **options: Any) -> tuple[Any, EmbeddedDriver]:
    """A client on a driver of its own."""
    driver = EmbeddedDriver(storage, **options)
    return sigopt.Connection(driver=lambda **_: driver), driver


class Journal:
    """A file to which a process notes what was confirmed to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, line: str) -> None:
        """Append a line; it survives the process."""
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(handle, f"{line}\n".encode())
        os.close(handle)

    def lines(self) -> list[str]:
        """What was noted so far."""
        return self._path.read_text().splitlines() if self._path.exists() else []
