"""Paths in a run configuration, and where the relative ones start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.constraints import Converted
from nc_sigopt_strategy.errors import in_one_line

# Key of pydantic's validation context: the folder that the configuration's file is in.
FOLDER = "folder"


def _from_file(text: str, context: Mapping[str, Any]) -> Path:
    return Path(context[FOLDER] / _at_home(text)).resolve()


def _unresolved(text: str, context: Mapping[str, Any]) -> Path:
    return Path(context[FOLDER]).absolute() / _at_home(text)


def _home_only(text: str, context: Mapping[str, Any]) -> Path:
    return _at_home(text)


def _at_home(text: str) -> Path:
    if "\0" in text:
        raise ValueError("no path holds a null character")
    return Path(text).expanduser()


def _usable(function: Callable[[str, Mapping[str, Any]], Path]) -> Converted:
    def convert(text: str, context: Mapping[str, Any]) -> Path:
        try:
            return function(text, context)
        except (OSError, RuntimeError) as error:  # no such user, links in a circle
            raise ValueError(in_one_line(error).rstrip(".")) from error

    return Converted(convert)


FROM_FILE = _usable(_from_file)
# An environment's Python is a link, and what it stands for depends on where it is called from.
UNRESOLVED = _usable(_unresolved)
HOME_ONLY = _usable(_home_only)
