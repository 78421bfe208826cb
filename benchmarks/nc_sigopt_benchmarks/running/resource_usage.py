"""What a worker's process used, left for the one that started it."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path

USAGE_FILE = "usage.json"
# The kernel's unit for it: KiB on Linux, bytes on macOS.
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def write_usage(folder: Path) -> None:
    """Write this process's largest resident memory into a run's folder, if it can be written."""
    peak = _peak_bytes()
    try:
        (folder / USAGE_FILE).write_text(json.dumps({"peak_memory_bytes": peak}) + "\n")
    except OSError:  # a full disk has been told of already
        return


def _peak_bytes() -> int:
    """Largest resident memory of this process, in bytes."""
    # Linux starts a process's ``ru_maxrss`` at that of the process that started it.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_BYTES


def read_peak_memory(folder: Path) -> int | None:
    """Largest resident memory in bytes of a run's process; ``None`` where it was killed."""
    try:
        return int(json.loads((folder / USAGE_FILE).read_text())["peak_memory_bytes"])
    except (OSError, ValueError, KeyError):
        return None
