"""One trial at a time on a machine: workers beside each other would falsify each other's times."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

_POLL_SECONDS = 0.02
# How often a waiting worker looks whether it is to stop.
_CHECK_SECONDS = 0.5


def _nothing() -> None:
    """No check while waiting."""


class MachineLock:
    """A lock among all workers of one user on this machine.

    Workers take turns: whoever gives it back stands behind those that wait. The operating system
    lets go of it when a process dies.

    Args:
        enabled: Whether it locks at all.
        folder: Where the lock files lie; default: the folder for temporary files.
    """

    def __init__(self, enabled: bool, folder: Path | None = None) -> None:
        self._lock: filelock.FileLock | None = None
        if enabled:
            where = Path(tempfile.gettempdir()) if folder is None else folder
            user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
            self._lock = filelock.FileLock(where / f"nc-sigopt-trial-{user}.lock")
            # Held while waiting for the other, so that the one who just gave it back, and is
            # quicker than anybody who only polls, cannot take it again before them.
            self._next = filelock.FileLock(where / f"nc-sigopt-next-trial-{user}.lock")

    @contextlib.contextmanager
    def held(self, check: Callable[[], None] = _nothing) -> Iterator[None]:
        """Inside, no other worker of this machine is in such a block."""
        self.take(check)
        try:
            yield
        finally:
            self.give()

    def take(self, check: Callable[[], None] = _nothing) -> float:
        """Wait for the lock; the seconds that it took, 0 if it was held already.

        Args:
            check: Called while it waits; may raise, to wait no longer.
        """
        if self._lock is None or self._lock.is_locked:
            return 0.0
        begun = time.monotonic()
        _wait_for(self._next, check)
        try:
            _wait_for(self._lock, check)
        finally:
            self._next.release()
        return time.monotonic() - begun

    def give(self) -> None:
        """Let the next worker in."""
        if self._lock is not None and self._lock.is_locked:
            self._lock.release()


def _wait_for(lock: filelock.FileLock, check: Callable[[], None]) -> None:
    while True:
        try:
            lock.acquire(timeout=_CHECK_SECONDS, poll_interval=_POLL_SECONDS)
            return
        except filelock.Timeout:
            check()
