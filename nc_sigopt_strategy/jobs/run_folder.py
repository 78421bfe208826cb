"""The folder of one run: a new name each time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from nc_sigopt_strategy.errors import ConfigFileError

_SAME_SECOND = 99


def new_run_folder(name: str, output: Path, source: Path) -> Path:
    """Make ``<output>/<name>-<timestamp>``, with a number behind it if it is there already.

    Args:
        name: Of the run.
        output: Folder of the run folders.
        source: The file that asked for it, for messages.

    Raises:
        ConfigFileError: The output folder cannot be written.
    """
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for attempt in range(1, _SAME_SECOND + 1):
        folder = output / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigFileError(
                f"{source}: the run folder {folder} cannot be made: {error}.",
                "Set the key output, or --output, to a folder that can be written.",
            ) from error
        return folder.resolve()
    raise ConfigFileError(
        f"{source}: {output} holds {_SAME_SECOND} folders called {stem} already.",
        "Set the key output, or --output, to another folder.",
    )
