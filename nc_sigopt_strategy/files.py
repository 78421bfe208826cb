"""Files and folders: written so that a reader never sees half of one, read without surprises."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A folder that others have no business in.
PRIVATE = 0o700


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

    Args:
        path: Its place.
        content: Text is written as UTF-8; what cannot be encoded (half of a file name that is not
            UTF-8) as an escape sequence.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with staged(path) as (partial,):
        partial.write_bytes(data)
    return path


@contextlib.contextmanager
def staged(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Places beside ``paths`` to write to; at the end of the block all is moved together.

    Of several files the last is the one that a reader opens, and that leads to the others: it is
    gone for the instant in which they are exchanged, and never beside those of another. An error
    leaves what was there before, and no half-written file: on a full disk that would take the last
    space from what comes next.

    Args:
        paths: In one folder, which is made if it is not there.

    Raises:
        OSError: The folder cannot be written.
    """
    paths[-1].parent.mkdir(parents=True, exist_ok=True)
    # The process number keeps writers of the same file apart.
    partials = tuple(path.with_name(f"{path.name}.{os.getpid()}.partial") for path in paths)
    try:
        yield partials
        if len(paths) > 1:
            paths[-1].unlink(missing_ok=True)
        for partial, path in zip(partials, paths, strict=True):
            partial.replace(path)
    finally:
        for partial in partials:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can look into; one that is there stays as it is.

    Args:
        folder: Those above it are made as usual.

    Raises:
        OSError: It cannot be made, or is a file.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=PRIVATE, exist_ok=True)


def parse_json(text: str) -> Any:
    """JSON that anybody may have written.

    Raises:
        ValueError: It is none, holds a number of too many digits, or is nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: It cannot be read.
        ValueError: As ``parse_json``, or it is not UTF-8.
    """
    return parse_json(path.read_text(encoding="utf-8"))
