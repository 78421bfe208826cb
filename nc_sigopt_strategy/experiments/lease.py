"""Whose an open suggestion is, when several workers share an experiment.

A suggestion carries its worker's lease as metadata, and the worker renews it while the trial runs.
A suggestion whose worker is gone can be taken over: its lease has run out, or its process is not
there any more, which a worker on the same machine sees at once. Leases compare the clocks of
machines, so those should agree to within a fraction of ``lease_seconds``.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.settings.choices import LEASE_SECONDS, MAX_WORKER_NAME

logger = logging.getLogger("nc_sigopt_strategy")

# Renewed this often, so that one renewal may be lost.
RENEWALS_PER_LEASE = 3
_WORKER, _MACHINE, _PROCESS, _EXPIRES = "worker", "machine", "process", "lease_expires"
LEASE_KEYS = (_WORKER, _MACHINE, _PROCESS, _EXPIRES)


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
        process: Where its process ids count, and its process id.
        expires: Unix time in seconds.
    """

    worker: str
    machine: str
    process: str
    expires: float

    def to_metadata(self) -> dict[str, Any]:
        """The entries of a suggestion's metadata."""
        return {
            _WORKER: self.worker,
            _MACHINE: self.machine,
            _PROCESS: self.process,
            _EXPIRES: round(self.expires, 3),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Lease | None:
        """The inverse of ``to_metadata``; ``None`` for a suggestion that no worker holds."""
        if not all(key in metadata for key in LEASE_KEYS):
            return None
        return cls(
            str(metadata[_WORKER]),
            str(metadata[_MACHINE]),
            str(metadata[_PROCESS]),
            float(metadata[_EXPIRES]),
        )


@dataclass(frozen=True)
class Worker:
    """One process that works on an experiment.

    Attributes:
        name: Its own among the workers of an experiment, and the same after a restart.
        lease_seconds: How long a suggestion stays its own without a renewal.
    """

    name: str
    lease_seconds: float = LEASE_SECONDS

    @classmethod
    def of_folder(cls, folder: Path, lease_seconds: float = LEASE_SECONDS) -> Worker:
        """The worker whose run folder this is: one folder on one machine serves one worker."""
        digest = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
        return cls(f"{platform.node()[: MAX_WORKER_NAME - 13]}:{digest}", lease_seconds)

    def lease(self) -> Lease:
        """A lease from now on."""
        return Lease(self.name, platform.node(), this_process(), time.time() + self.lease_seconds)

    def standing(self, lease: Lease | None) -> Standing:
        """How a suggestion with this lease stands to this worker.

        Without a lease it is of a program that knows none, and free to be taken up.
        """
        if lease is None or lease.worker == self.name:
            return Standing.MINE
        if lease.expires < time.time() or _is_gone(lease.process):
            return Standing.ABANDONED
        return Standing.ALIVE


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


def this_process() -> str:
    """This process, as another one on the same machine can look it up."""
    return f"{_process_ids_of()}:{os.getpid()}"


def _process_ids_of() -> str:
    """Where the process ids of this process count: one boot of one machine, one container."""
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:  # no Linux: the host's name has to do
        pass
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _is_gone(process: str) -> bool:
    """Whether a process of this very machine has ended; unknown ones count as running."""
    where, _, pid = process.partition(":")
    if where != _process_ids_of() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
        # One that has ended and that its parent has not noticed is listed as a zombie.
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"
