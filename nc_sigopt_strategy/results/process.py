"""A process as others can name it and look it up: who holds a lock, a folder, a suggestion."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.files import read_json, write_whole


@dataclass(frozen=True)
class Holder:
    """A process that holds something, for a message to whoever wants it too.

    Attributes:
        process: See ``this_process``.
        machine: Host name.
        pid: Process id, as the process itself sees it.
        since: Local time with its offset, in ISO 8601.
        name: What the worker is called; empty where that says nothing.
    """

    process: str
    machine: str
    pid: int
    since: str
    name: str = ""

    @classmethod
    def now(cls, name: str = "") -> Holder:
        """This process, from now on."""
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        return cls(this_process(), platform.node(), os.getpid(), since, name)

    def write(self, path: Path) -> None:
        """Leave it at a path; that this fails costs a message its best words only."""
        with contextlib.suppress(OSError):
            write_whole(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def read(cls, path: Path) -> Holder | None:
        """The inverse of ``write``; ``None`` where there is none that can be read."""
        try:
            raw: Mapping[str, Any] = read_json(path)
            texts = (str(raw[key]) for key in ("process", "machine", "since", "name"))
            process, machine, since, name = texts
            return cls(process, machine, int(raw["pid"]), since, name)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def __str__(self) -> str:
        named = f"worker {self.name}, " if self.name else ""
        return f"{named}process {self.pid} on {self.machine}, since {self.since}"


def this_process() -> str:
    """This process, as another one on the same machine can look it up.

    ``<where its ids count>:<process id>:<when it began>``; the last, in clock ticks from the
    machine's start, tells it from a later one that got the same id. It is empty where the system
    does not say.
    """
    return f"{_process_ids_of()}:{os.getpid()}:{_began(os.getpid()) or ''}"


def is_of_here(process: str) -> bool:
    """Whether a process' id counts where this process' does, so that it can be looked up."""
    return process.partition(":")[0] == _process_ids_of()


def is_gone(process: str) -> bool:
    """Whether a process of this very machine has ended; unknown ones count as running.

    Args:
        process: See ``this_process``; the last part may be missing.
    """
    where, _, rest = process.partition(":")
    pid, _, began = rest.partition(":")
    if where != _process_ids_of() or not (pid.isascii() and pid.isdigit()) or len(pid) > 10:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        # It is there, and somebody else's.
        pass
    state, now_began = _stat(int(pid)) or ("", "")
    # One that has ended and that its parent has not noticed is listed as a zombie.
    return state == "Z" or bool(began and now_began and began != now_began)


@lru_cache(maxsize=1)
def _cached_ids(node: str, own: int) -> str:
    del own  # a fork may be in another namespace
    parts = [node]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:  # no Linux: the host's name has to do
        pass
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _process_ids_of() -> str:
    """Where the process ids of this process count: one boot of one machine, one container."""
    return _cached_ids(platform.node(), os.getpid())


def _began(pid: int) -> str | None:
    found = _stat(pid)
    return None if found is None else found[1]


def _stat(pid: int) -> tuple[str, str] | None:
    """State and beginning of a process; ``None`` where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name before them is in brackets and may hold anything.
    fields = text.rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else None
