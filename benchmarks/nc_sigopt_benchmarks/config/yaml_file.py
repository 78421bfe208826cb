"""YAML run configurations: read, and checked against the schema.

Every complaint names the file, the key as a dotted path and the line, because these files are
edited by hand.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from importlib import resources
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.builtin import builtin_names
from nc_sigopt_benchmarks.config.places import KeyPath, Places
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.config.typed_config import typed_config
from nc_sigopt_strategy.errors import ConfigFileError

# Far more than any key of ours needs.
_DEEPEST, _MOST_VALUES = 40, 100_000


def read_config(path: Path) -> RunConfig:
    """Read and check a run configuration.

    Raises:
        ConfigFileError: The file is missing, is not YAML, or a key or value in it is wrong.
    """
    values, places = _parse(path)
    _check_schema(values, places)
    return typed_config(values, places)


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
            f"{path}: the file holds {_kind(values)}, not a mapping of keys to values.",
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


def _check_schema(values: dict[str, Any], places: Places) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # JSON schema takes 130.0 for a whole number, Neural Compressor does not; and YAML has .nan.
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_whole, "number": _is_finite}
    )
    validator = extend(Draft202012Validator, type_checker=checker)
    text = resources.files(__package__).joinpath("config_schema.json").read_text("utf-8")
    problems = []
    for error in validator(json.loads(text)).iter_errors(values):
        key, fact, hint = _explain(error)
        problems.append((places.line_of(key), key, fact, hint))
    if problems:
        _, key, fact, hint = min(problems, key=lambda problem: problem[0])
        raise places.wrong(key, fact, hint)


def _is_whole(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(checker: Any, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def _explain(error: Any) -> tuple[KeyPath, str, str]:
    """Which key is wrong, what is wrong with it, and the way out."""
    key: KeyPath = tuple(error.absolute_path)
    rule, limit = error.validator, error.validator_value
    shown = _describe(error.instance)
    if rule == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = next(name for name in error.instance if name not in known)
        return (*key, str(unknown)), "is not a known key", _suggest(str(unknown), known)
    if rule == "required":
        missing = next(name for name in limit if name not in error.instance)
        return (*key, missing), "is missing", "Add it; see configs/demo.yaml for an example."
    if rule == "enum":
        return key, f"is {shown}, which is not known", _suggest(str(error.instance), limit)
    if rule == "type":
        # A mapping that was written as text may hold a token.
        shown = _kind(error.instance) if limit in ("object", "array") else shown
        return key, f"is {shown}", f"It must be {_TYPE_NAMES[limit]}."
    if rule == "minimum":
        return key, f"is {shown}", f"The least that makes sense is {limit}."
    if rule == "pattern":
        hint = "Use letters, digits, dots, dashes and underscores: it becomes a folder's name."
        return key, f"is {shown}", hint
    return key, f"is {shown}", "It must not be empty."


_TYPE_NAMES = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
}


def _suggest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    start = f"Did you mean {near[0]!r}? " if near else ""
    return f"{start}Known here: {', '.join(known)}."


def _describe(value: Any) -> str:
    kind = _kind(value)
    return kind if value is None or isinstance(value, (dict, list)) else f"{value!r} ({kind})"


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    kind = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kind.get(type(value), type(value).__name__)
