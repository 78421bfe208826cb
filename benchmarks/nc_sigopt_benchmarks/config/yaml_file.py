"""YAML run configurations: read, and checked.

Every complaint names the file, the key as a dotted path and the line, because these files are
edited by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.builtin import builtin_names
from nc_sigopt_benchmarks.config.mistakes import checked, kind_of
from nc_sigopt_benchmarks.config.places import Places
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.config.whole_config import whole_config
from nc_sigopt_strategy.errors import ConfigFileError

# Far more than any key of ours needs.
_DEEPEST, _MOST_VALUES = 40, 100_000


def read_config(path: Path) -> RunConfig:
    """Read and check a run configuration.

    Raises:
        ConfigFileError: The file is missing, is not YAML, or a key or value in it is wrong.
    """
    values, places = _parse(path)
    return whole_config(checked(values, places), values, places)


def _parse(path: Path) -> tuple[dict[str, Any], Places]:
    """The values as plain Python objects, and where each of them stands."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(
            f"The run configuration {path} cannot be read: {error}.",
            "Give the path of a YAML file, or the name of a built-in one: "
            f"{', '.join(builtin_names())} (those of configs/).",
        ) from error
    try:
        lines = YAML(typ="rt").load(text)
        values = YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        # Its own message holds both values, and one of them may be a token.
        found = re.match(r'found duplicate key "(.*?)" with value', str(error.problem))
        key = f"the key {found[1]!r}" if found else "a key"
        line = error.problem_mark.line + 1
        raise ConfigFileError(
            f"{path}, line {line}: not valid YAML: {key} is there twice.",
            "Leave one of the two.",
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigFileError(
            f"{path}{where}: not valid YAML: {error.problem}.",
            "Check the indentation, the quotes and the colons around that line.",
        ) from error
    except YAMLError as error:
        raise ConfigFileError(f"{path}: not valid YAML: {error}.") from error
    except RecursionError:
        raise _too_large(path, "it is nested too deep") from None
    except ValueError as error:  # a number of thousands of digits, a 13th month
        raise ConfigFileError(
            f"{path}: a value in it cannot be read: {error}.", "Put text in quotes."
        ) from error
    if values is None:
        raise ConfigFileError(
            f"The run configuration {path} is empty.", "See configs/demo.yaml for a whole example."
        )
    if not isinstance(values, dict):
        raise ConfigFileError(
            f"{path}: the file holds {kind_of(values)}, not a mapping of keys to values.",
            "See configs/demo.yaml for a whole example.",
        )
    _check_size(path, values)
    return values, Places(path, lines)


def _check_size(path: Path, values: Any) -> None:
    """Refuse what nobody writes by hand: the checks that follow go down into every value.

    Aliases count each time, as they would be written out: a few lines of them can stand for more
    than fits any memory.
    """
    found, waiting = 0, [(values, 1)]
    while waiting:
        value, depth = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value
        if not isinstance(value, (dict, list, tuple, set)):
            continue
        found += len(value)
        if depth > _DEEPEST or found > _MOST_VALUES:
            what = f"{_DEEPEST} levels" if depth > _DEEPEST else f"{_MOST_VALUES} values"
            raise _too_large(path, f"it has more than {what}")
        waiting.extend((one, depth + 1) for one in inner)


def _too_large(path: Path, why: str) -> ConfigFileError:
    return ConfigFileError(
        f"The run configuration {path} cannot be used: {why}.",
        "See configs/demo.yaml for a whole example.",
    )
