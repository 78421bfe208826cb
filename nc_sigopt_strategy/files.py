"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for nobody but this user (mode 0700).

    One that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    missing = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.append(path)
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    if not missing:
        folder.mkdir(exist_ok=True)  # complains where a file has its name


def make_private_file(path: Path) -> None:
    """Make an empty file for nobody but this user (mode 0600); one that is there stays as it is.

    One that is there is not even opened: closing it again would let go of all locks that this
    process holds on it, and SQLite would take itself for alone.

    Raises:
        OSError: It cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


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
