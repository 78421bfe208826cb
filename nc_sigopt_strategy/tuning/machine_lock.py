"""One trial at a time on a machine: workers beside each other would falsify each other's times."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from nc_sigopt_strategy.errors import StoreError
from nc_sigopt_strategy.experiments.lease import RENEWALS_PER_LEASE, LeaseKeeper
from nc_sigopt_strategy.results.process import Holder
from nc_sigopt_strategy.settings.choices import LEASE_SECONDS
from nc_sigopt_strategy.tuning.users_locks import users_lock_folder

logger = logging.getLogger("nc_sigopt_strategy")

_POLL_SECONDS = 0.02
# How often a waiting worker looks whether it is to stop.
_CHECK_SECONDS = 0.5
# A wait that a person may wonder about.
_SAY_AFTER_SECONDS = 10.0


def _nothing() -> None:
    """No check while waiting."""


class MachineLock:
    """A lock among all workers of one user on this machine.

    Workers take turns: whoever gives it back stands behind those that wait. The operating system
    lets go of it when a process dies. A process that is stopped keeps it; so the holder gives a
    sign of life, and one that gives none for as long as a lease lasts is passed over: its
    suggestion has run out as well.

    Args:
        enabled: Whether it locks at all.
        folder: Where the lock files lie; default: see ``users_lock_folder``.
        name: What the worker is called, for those that wait.
        lease_seconds: How long a holder may give no sign of life.

    Raises:
        StoreError: There is no folder for it.
    """

    def __init__(
        self,
        enabled: bool,
        folder: Path | None = None,
        *,
        name: str = "",
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._turn: _Turn | None = None
        if enabled:
            where = users_lock_folder() if folder is None else folder
            self._turn = _Turn(where / "trial.lock", name, lease_seconds)
            # Held while waiting for the other, so that the one who just gave it back, and is
            # quicker than anybody who only polls, cannot take it again before them.
            self._next = _Turn(where / "next-trial.lock", name, lease_seconds)

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

        Raises:
            StoreError: The lock's file cannot be opened.
        """
        if self._turn is None or self._turn.is_taken:
            return 0.0
        begun = time.monotonic()
        self._next.take(check)
        try:
            self._turn.take(check)
        finally:
            self._next.give()
        return time.monotonic() - begun

    def give(self) -> None:
        """Let the next worker in."""
        if self._turn is not None:
            self._turn.give()


class _Turn:
    """A lock whose holder gives signs of life.

    Args:
        path: Of its file; beside it lies another that says who holds it.
        name: What the worker is called.
        lease_seconds: See ``MachineLock``.
    """

    def __init__(self, path: Path, name: str, lease_seconds: float) -> None:
        self._path = path
        self._holder_path = path.with_suffix(".holder")
        self._name = name
        self._lease_seconds = lease_seconds
        self._lock = filelock.FileLock(path)
        self._signs: LeaseKeeper | None = None

    @property
    def is_taken(self) -> bool:
        """Whether this process holds it."""
        return self._lock.is_locked

    def take(self, check: Callable[[], None]) -> None:
        """Wait for it; see ``MachineLock.take``."""
        patience = _Patience(self._lease_seconds)
        while True:
            try:
                self._lock.acquire(timeout=_CHECK_SECONDS, poll_interval=_POLL_SECONDS)
                break
            except filelock.Timeout:
                check()
                if patience.is_over(self._sign_of_life(), self._holder_path):
                    self._pass_over()
            except OSError as error:
                raise StoreError(
                    f"The lock {self._path} cannot be used: {error}.",
                    "Delete the file, or set one_trial_per_machine=False.",
                ) from error
        holder = Holder.now(self._name)
        holder.write(self._holder_path)
        self._signs = LeaseKeeper(self._give_sign, self._lease_seconds / RENEWALS_PER_LEASE)
        self._signs.hold(holder.process)

    def give(self) -> None:
        """Let go of it, if this process holds it."""
        if self._signs is not None:
            self._signs.close()
            self._signs = None
        # Where the user's code has closed its file, it is let go of already.
        with contextlib.suppress(OSError):
            if self._lock.is_locked:
                self._lock.release()

    def _give_sign(self, _: str) -> None:
        os.utime(self._holder_path)

    def _sign_of_life(self) -> int | None:
        try:
            return self._holder_path.stat().st_mtime_ns
        except OSError:
            return None

    def _pass_over(self) -> None:
        """Leave the holder its file, which is a new one's from now on for everybody else."""
        logger.warning(
            "%s has the turn on this machine and has given no sign of life for %.0f s: it is "
            "passed over. A process that is stopped can be ended, or continued with kill -CONT.",
            _who(self._holder_path),
            self._lease_seconds,
        )
        with contextlib.suppress(OSError):
            self._path.unlink()
        # The old object may remember the old file.
        self._lock = filelock.FileLock(self._path)


class _Patience:
    """How long a worker waits for one holder, by its own clock.

    Only whether the sign of life changes is looked at, so that no clocks are compared.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._began = self._changed = time.monotonic()
        self._sign: int | None = None
        self._said = False

    def is_over(self, sign: int | None, holder: Path) -> bool:
        """Whether the holder has given no sign of life for a lease; says that it waits, once."""
        now = time.monotonic()
        if sign != self._sign:
            self._sign, self._changed = sign, now
        if not self._said and now - self._began > _SAY_AFTER_SECONDS:
            self._said = True
            logger.info("Waiting for the turn on this machine: %s has it.", _who(holder))
        if now - self._changed <= self._lease_seconds:
            return False
        self._changed = now
        return True


def _who(path: Path) -> str:
    found = Holder.read(path)
    return "another worker" if found is None else str(found)
