"""The folder of one run: a new name each time."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.files import PRIVATE

# Neural Compressor's own files, inside the run folder.
WORKSPACE_FOLDER = "nc_workspace"
_SAME_SECOND = 99
# Bytes; file systems take 255, with the time and what is written beside it.
_LONGEST_NAME = 180


def new_run_folder(
    name: str, output: Path, source: Path | str, *, named_by: str = "the key output, or --output,"
) -> Path:
    """Make ``<output>/<name>-<timestamp>``, with a number behind it if it is there already.

    Args:
        name: Of the run.
        output: Folder of the run folders.
        source: Who asked for it, for messages.
        named_by: What names the folder of the run folders, for messages.

    Raises:
        ConfigFileError: The output folder cannot be written.
    """
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[:-1]
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for attempt in range(1, _SAME_SECOND + 1):
        folder = output / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            output.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=PRIVATE)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigFileError(
                f"{source}: the run folder {folder} cannot be made: {error}.",
                f"Set {named_by} to a folder that can be written.",
            ) from error
        return folder.resolve()
    raise ConfigFileError(
        f"{source}: {output} holds {_SAME_SECOND} folders called {stem} already.",
        f"Set {named_by} to another folder.",
    )
