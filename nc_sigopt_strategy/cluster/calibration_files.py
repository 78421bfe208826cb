"""A folder of calibration statistics as one object that Ray can carry to other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nc_sigopt_strategy.files import write_whole

_PARTIAL = ".partial"


def read_files(folder: Path) -> dict[str, bytes]:
    """The folder's files by name; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_PARTIAL)
    }


def write_missing(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files that the folder lacks; one that is there says the same by its name.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    for name, content in files.items():
        path = folder / Path(name).name
        if not path.exists():
            write_whole(path, content)
