"""One trial at a time on a machine: workers beside each other would falsify each other's times."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

_POLL_SECONDS = 0.05
# How often a waiting worker looks whether it is to stop.
_CHECK_SECONDS = 0.5


class MachineLock:
    """A lock among all workers of one user on this machine.

    The operating system lets go of it when a process dies.

    Args:
        enabled: Whether it locks at all.
        folder: Where the lock file lies; default: the folder for temporary files.
    """

    def __init__(self, enabled: bool, folder: Path | None = None) -> None:
        self._lock: filelock.FileLock | None = None
        if enabled:
            where = Path(tempfile.gettempdir()) if folder is None else folder
            user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
            name = f"nc-sigopt-trial-{user}.lock"
            self._lock = filelock.FileLock(where / name)

    @contextlib.contextmanager
    def held(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Inside, no other worker of this machine is in such a block."""
        self.take(check)
        try:
            yield
        finally:
            self.give()

    def take(self, check: Callable[[], None] = lambda: None) -> float:
        """Wait for the lock; the seconds that it took.

        Args:
            check: Called while it waits; may raise, to wait no longer.
        """
        if self._lock is None or self._lock.is_locked:
            return 0.0
        begun = time.monotonic()
        while True:
            try:
                self._lock.acquire(timeout=_CHECK_SECONDS, poll_interval=_POLL_SECONDS)
                return time.monotonic() - begun
            except filelock.Timeout:
                check()

    def give(self) -> None:
        """Let the next worker in."""
        if self._lock is not None and self._lock.is_locked:
            self._lock.release()
