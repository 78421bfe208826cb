"""Whose an open suggestion is, when several workers share an experiment.

A suggestion carries its worker's lease as metadata, and the worker renews it while the trial runs.
A suggestion whose worker is gone can be taken over: its lease has not been renewed for as long as
it lasts, or its process is not there any more, which a worker on the same machine sees at once.

Clocks of machines are not compared: they may be hours apart, and one that is set forward, or a
machine that wakes up, would make everybody's leases run out at once. Whoever wants to take
something over looks at it twice, and counts by a monotonic clock of its own how long it has not
changed. When a lease runs out by the holder's clock is kept for those who look once and decide
nothing.

A worker that is started again has the name that it had, and so may a second one that somebody
started by mistake. What tells them apart is the process: as long as the one that holds the lease
may be at work, its suggestion is not touched, whatever it is called.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.results.process import is_gone, is_of_here, this_process
from nc_sigopt_strategy.settings.choices import LEASE_SECONDS, MAX_WORKER_NAME

logger = logging.getLogger("nc_sigopt_strategy")

# Renewed this often, so that one renewal may be lost.
RENEWALS_PER_LEASE = 3
_WORKER, _MACHINE, _PROCESS, _EXPIRES = "worker", "machine", "process", "lease_expires"
_KEYS = (_WORKER, _MACHINE, _PROCESS, _EXPIRES)
_SECONDS, _SIGN = "lease_seconds", "lease_sign"
# A holder that asks for more is not waited for longer.
_LONGEST_SECONDS = 24 * 3600.0
# Leases that are remembered; a worker sees some at a time.
_REMEMBERED = 10_000


class Standing(Enum):
    """How an open suggestion stands to a worker."""

    MINE = "mine"
    ALIVE = "another worker's"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class Lease:
    """A worker's hold on a suggestion.

    Attributes:
        worker: The worker's name.
        machine: Its host name.
        process: See ``results.process.this_process``.
        expires: Unix time in seconds by that machine's clock, which may be any.
        seconds: How long it lasts without a renewal; 0 where an earlier version does not say.
        sign: Another one with each renewal, whatever the clock does.
    """

    worker: str
    machine: str
    process: str
    expires: float
    seconds: float = 0.0
    sign: str = ""

    def to_metadata(self) -> dict[str, Any]:
        """The entries of a suggestion's metadata."""
        return {
            _WORKER: self.worker,
            _MACHINE: self.machine,
            _PROCESS: self.process,
            _EXPIRES: round(self.expires, 3),
            _SECONDS: self.seconds,
            _SIGN: self.sign,
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Lease | None:
        """The inverse of ``to_metadata``; ``None`` for a suggestion that no worker holds."""
        if not all(key in metadata for key in _KEYS):
            return None
        return cls(
            str(metadata[_WORKER]),
            str(metadata[_MACHINE]),
            str(metadata[_PROCESS]),
            _seconds(metadata[_EXPIRES]),
            min(max(0.0, _seconds(metadata.get(_SECONDS))), _LONGEST_SECONDS),
            str(metadata.get(_SIGN, "")),
        )

    @property
    def has_run_out(self) -> bool:
        """Whether its process has ended, or the lease by this machine's clock.

        For those who look once and decide nothing: the clocks may be apart.
        """
        return is_gone(self.process) or self.expires < time.time()


@dataclass(frozen=True)
class Worker:
    """One process that works on an experiment.

    Attributes:
        name: Its own among the workers of an experiment, and the same after a restart.
        lease_seconds: How long a suggestion stays its own without a renewal.
        clock: Monotonic seconds.
    """

    name: str
    lease_seconds: float = LEASE_SECONDS
    clock: Callable[[], float] = field(default=time.monotonic, compare=False, repr=False)
    _seen: dict[Lease, float] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of_folder(cls, folder: Path, lease_seconds: float = LEASE_SECONDS) -> Worker:
        """The worker whose run folder this is: one folder on one machine serves one worker."""
        digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
        return cls(f"{platform.node()[: MAX_WORKER_NAME - 13]}:{digest}", lease_seconds)

    def renamed(self) -> Worker:
        """The same under a name that only this process has."""
        digest = hashlib.sha256(this_process().encode()).hexdigest()[:12]
        name = f"{self.name[: MAX_WORKER_NAME - 13]}:{digest}"
        return Worker(name, self.lease_seconds, self.clock, self._seen)

    def lease(self) -> Lease:
        """A lease from now on."""
        return Lease(
            self.name,
            platform.node(),
            this_process(),
            time.time() + self.lease_seconds,
            self.lease_seconds,
            secrets.token_hex(4),
        )

    def standing(self, lease: Lease | None) -> Standing:
        """How a suggestion with this lease stands to this worker.

        Without a lease it is of a program that knows none, and free to be taken up. One of a
        process that cannot be looked up counts as alive until it has been looked at for as long as
        it lasts and was not renewed.
        """
        if lease is None:
            return Standing.MINE
        mine = lease.worker == self.name
        if mine and lease.process == this_process():
            return Standing.MINE
        if is_gone(lease.process):
            return Standing.MINE if mine else Standing.ABANDONED
        if not self._is_silent(lease):
            return Standing.ALIVE
        # One that sleeps must not find its suggestion as it left it: it is given up for a new one.
        return Standing.MINE if mine and not is_of_here(lease.process) else Standing.ABANDONED

    def _is_silent(self, lease: Lease) -> bool:
        """Whether this very lease was seen a lease ago, and so has not been renewed since."""
        now = self.clock()
        since = self._seen.setdefault(lease, now)
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return now - since > max(self.lease_seconds, lease.seconds)


class LeaseKeeper:
    """Renews the lease of the open trial from a thread of its own.

    Args:
        renew: Renews one suggestion, by its id; may raise.
        every_seconds: How often.
    """

    def __init__(self, renew: Callable[[str], None], every_seconds: float) -> None:
        self._renew = renew
        self._every = every_seconds
        self._held: str | None = None
        self._changed = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lease keeper", daemon=True)
        self._thread.start()

    def hold(self, suggestion_id: str) -> None:
        """Renew this suggestion's lease from now on, and no other's."""
        self._held = suggestion_id

    def let_go(self) -> None:
        """Renew nothing."""
        self._held = None

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._changed.set()
        self._thread.join(timeout=5.0)

    def _work(self) -> None:
        while not self._changed.wait(self._every) and not self._closed:
            held = self._held
            if held is None:
                continue
            try:
                self._renew(held)
            except Exception as error:  # the next renewal may work, and tuning goes on anyway
                logger.debug("The lease of suggestion %s was not renewed: %r", held, error)


def _seconds(value: Any) -> float:
    """A time in a suggestion's metadata, which any program may write; nonsense has run out."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
