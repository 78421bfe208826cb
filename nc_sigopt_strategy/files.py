"""Files and folders: written so that a reader never sees half of one, read without surprises."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

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
    space from what comes next. Nobody can know the places before they are there, so that none is a
    link that somebody has laid there to have another file overwritten.

    Args:
        paths: In one folder, which is made if it is not there.

    Raises:
        OSError: The folder cannot be written.
    """
    paths[-1].parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(8)
    partials = tuple(path.with_name(f"{path.name}.{mark}.partial") for path in paths)
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


def open_regular(path: Path, *, owned: bool = False) -> BinaryIO:
    """Open a file for reading that somebody else may have put there.

    A pipe would be waited for without end, and a device has none.

    Args:
        path: Where it is.
        owned: Whether it must be this user's or the system's own, and no link to one.

    Raises:
        OSError: It cannot be opened, is no file, or not of whom it must be.
    """
    # Windows knows neither flag, nor pipes among files.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if owned:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if owned and error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "It is a link", str(path)) from None
        raise
    try:
        _check_kind(descriptor, path, owned=owned)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_kind(descriptor: int, path: Path, *, owned: bool) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "It is no file", str(path))
    if owned and hasattr(os, "geteuid") and found.st_uid not in (0, os.geteuid()):
        raise OSError(errno.EPERM, f"It is another user's (number {found.st_uid})", str(path))


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
        OSError: It cannot be read, or is no file.
        ValueError: As ``parse_json``, or it is not UTF-8.
    """
    with open_regular(path) as stream:
        return parse_json(stream.read().decode())
