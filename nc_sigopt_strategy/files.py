"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> Path:
    """Write a file beside its place and move it there; missing folders are made.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps writers of the same file apart.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except BaseException:
        # On a full disk the half that was written would take the last space from what comes next.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    return path
