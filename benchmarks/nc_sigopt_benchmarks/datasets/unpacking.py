"""Archives unpacked safely: nothing lands outside, and nothing half unpacked counts as whole."""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from nc_sigopt_strategy.errors import DataError


def unpack(archive: Path, part: str, target: Path) -> None:
    """Unpack the members below a folder called ``part`` into ``target``.

    Args:
        archive: A tar file, compressed or not.
        part: The name of a folder at the top of the archive or one below it.
        target: Is there afterwards only if all was unpacked.

    Raises:
        DataError: It is no such archive, is damaged, or has a member that leads outside.
        OSError: The disk is full or the folder cannot be written.
    """
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        try:
            with tarfile.open(archive) as file:
                _extract(file, archive, part, partial)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise DataError(
                f"The archive {archive} cannot be unpacked: {str(error).rstrip('.')}.",
                "It is damaged or not a .tgz: download it again.",
            ) from error
        try:
            partial.rename(target)
        except OSError:
            # Another process was faster, and its folder is whole.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(file: tarfile.TarFile, archive: Path, part: str, into: Path) -> None:
    found = False
    # From Python 3.10.12 and 3.11.4 on, tarfile checks members itself.
    checked: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    for member in file:
        inside = _checked_path(member, archive)
        if not member.isreg() or part not in inside.parts[:2]:
            continue
        below = inside.parts[inside.parts.index(part) + 1 :]
        if not below:
            continue
        member.name = str(PurePosixPath(*below))
        file.extract(member, into, **checked)
        found = True
    if not found:
        raise DataError(
            f"The archive {archive} has no files in a folder {part}/.",
            "Give an archive that holds that folder.",
        )


def _checked_path(member: tarfile.TarInfo, archive: Path) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        wrong = "leads outside" if member.isreg() or member.isdir() else "is no file or folder"
        raise DataError(
            f"The archive {archive} has a member {member.name!r} that {wrong}; nothing of it is "
            "used.",
            "It is not the data set's own archive: get that from its publisher.",
        )
    return path
