"""Going on with a comparison that was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.files import read_json, write_whole

CONFIG_FILE = "config.json"
# What may change in between: where the file lies, and how the models found are timed.
_FREE_KEYS = frozenset({"path", "output", "timing"})
_ABSENT = "nothing"


def open_run_folder(config: RunConfig, resume: Path | None) -> Path:
    """A new run folder, or an earlier comparison's if it was made with the same configuration.

    Raises:
        ConfigFileError: There is no comparison in ``resume``, or one with other settings.
    """
    if resume is None:
        folder = new_run_folder(config.name, config.output, config.path)
        write_whole(folder / CONFIG_FILE, json.dumps(_fixed(config), indent=2) + "\n")
        return folder
    folder = resume.resolve()
    try:
        before = read_json(folder / CONFIG_FILE)
    except (OSError, ValueError) as error:
        raise ConfigFileError(
            f"{resume} cannot be resumed: its {CONFIG_FILE} cannot be read: {error}.",
            "Name the folder of a comparison that nc-sigopt compare began.",
        ) from error
    changed = list(_changes(before, _fixed(config)))
    if changed:
        raise ConfigFileError(
            f"{config.path} is not what {resume} was begun with: {'; '.join(changed)}.",
            "Restore it, or start a new comparison without --resume.",
        )
    return folder


def set_aside(folder: Path) -> None:
    """Delete what an interrupted run left; its budget would not be the others'."""
    if folder.exists():
        shutil.rmtree(folder)


def _fixed(config: RunConfig) -> dict[str, Any]:
    return {key: value for key, value in config.to_json().items() if key not in _FREE_KEYS}


def _changes(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Sentences about the values that differ, by dotted key."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted({*before, *now}):
            dotted = f"{key}.{name}" if key else str(name)
            yield from _changes(before.get(name, _ABSENT), now.get(name, _ABSENT), dotted)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for position, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _changes(one, other, f"{key}.{position}")
    elif before != now:
        yield f"{key} was {before!r} and is {now!r}"
