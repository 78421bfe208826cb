"""How settings are checked and brought into one form, without going anywhere.

``Settings`` annotates each of its fields with one of these; ``schema.settings_schema`` says the
same to editors.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.choices import (
    AUTO,
    MAX_ID,
    MAX_SEED,
    MAX_WHOLE,
    MAX_WORKER_NAME,
    OFF,
)
from nc_sigopt_strategy.settings.openvino_properties import checked_properties
from nc_sigopt_strategy.settings.quantities import (
    brief,
    flag_of,
    seconds_of,
    share_of,
    whole_of,
)
from nc_sigopt_strategy.settings.secret import TOKEN_KEY, Secret
from nc_sigopt_strategy.settings.server_options import (
    at_home,
    checked_ca_bundle,
    checked_client_cert,
    checked_hosts,
    checked_proxy,
    checked_url,
)
from nc_sigopt_strategy.settings.session_options import SESSION_SCHEMA, checked_session_options


@dataclass(frozen=True)
class Check:
    """How the value of a setting is checked.

    Attributes:
        function: Takes what a message is to call the setting, and the value, ``None`` for the
            default; returns what ``Settings`` holds; raises ``SettingsError``.
        schema: The same as far as JSON schema can say it, ``None`` where files cannot hold the
            value. What fits the schema may still be refused, what is taken fits it.
    """

    function: Callable[[str, object], Any]
    schema: Mapping[str, Any] | None


_WORKER = re.compile(rf"[A-Za-z0-9_.:/\-]{{1,{MAX_WORKER_NAME}}}")
_PROJECT_ID = re.compile(r"[a-z0-9\-_.]{1,32}")


def _wrong(
    key: str, wanted: str, value: object, read: Callable[[str], float | None] | None = None
) -> SettingsError:
    """What to raise for a value; ``read`` says what a text in its place may have meant."""
    shown = "***" if key == TOKEN_KEY else brief(value)
    meant = read(value) if read is not None and isinstance(value, str) else None
    said = f"{meant:.12g}" if isinstance(meant, float) else meant
    return SettingsError(
        f"{key} must be {wanted}, but is {shown} ({type(value).__name__}).",
        "" if meant is None else f"Did you mean {said}?",
    )


def _number(value: object) -> float | None:
    """A number, also no finite one; ``None`` if it is none, or one that no float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _text(key: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, "a string that is not empty", value)
    return value.strip()


def _token(key: str, value: object) -> Secret | None:
    if value is None:
        return None
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise _wrong(key, "a string", value)
    if not value.strip():
        raise SettingsError(
            f"{key} is empty.",
            "Leave the key out to use the embedded engine, or give the token of a SigOpt server.",
        )
    return Secret(value.strip())


def _project_id(key: str, value: object) -> str | None:
    project_id = _text(key, value)
    if project_id is not None and not _PROJECT_ID.fullmatch(project_id):
        raise SettingsError(
            f"{key} {brief(project_id)} is not a SigOpt project id.",
            "Use 1 to 32 characters of a-z, 0-9, '-', '_' and '.'.",
        )
    return project_id


def _experiment_name(key: str, value: object) -> str | None:
    name = _text(key, value)
    if name is not None and (len(name) > 100 or any(ord(c) < 0x20 for c in name)):
        raise SettingsError(
            f"{key} {brief(name)} is not an experiment name.",
            "Use 1 to 100 characters without control characters.",
        )
    return name


def _experiment_id(key: str, value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_ID:
        value = str(value)
    text = _text(key, value)
    if text is not None and not re.fullmatch(r"[0-9]+", text):
        raise SettingsError(
            f"{key} {brief(text)} is not an experiment id: ids are whole numbers.",
            "Did you mean sigopt_experiment_name? `nc-sigopt experiments list` shows the ids.",
        )
    return text


def _worker(key: str, value: object) -> str | None:
    name = _text(key, value)
    if name is not None and not _WORKER.fullmatch(name):
        raise SettingsError(
            f"{key} {brief(name)} is not a name of a worker.",
            f"Use 1 to {MAX_WORKER_NAME} characters of A-Z, a-z, 0-9 and _ . : / -.",
        )
    return name


def one_of(*choices: str) -> Check:
    """One of these texts."""

    def check(key: str, value: object) -> str | None:
        text = _text(key, value)
        if text is not None and text not in choices:
            near = difflib.get_close_matches(text, choices, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"{key} must be one of {', '.join(choices)}, but is {brief(text)}.{meant}"
            )
        return text

    return Check(check, {"enum": list(choices)})


def whole(least: int, most: int = MAX_WHOLE) -> Check:
    """A whole number in a range."""

    def check(key: str, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise _wrong(key, f"a whole number of at least {least}", value, whole_of)
        if value > most:
            raise SettingsError(f"{key} must be at most {most}, but is {brief(value)}.")
        return value

    return Check(check, {"type": "integer", "minimum": least, "maximum": most})


def _seconds(key: str, value: object) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is None or not seconds >= 0:
        raise _wrong(key, "a number of seconds of at least 0", value, seconds_of)
    return seconds


def _some_seconds(key: str, value: object) -> float | None:
    seconds = _seconds(key, value)
    if seconds is not None and not 0 < seconds < math.inf:
        raise _wrong(key, "a number of seconds above 0", value, seconds_of)
    return seconds


def _odds(key: str, value: object) -> float | None:
    if value is None:
        return None
    odds = _number(value)
    if odds is None or not 0 < odds < 1:
        raise _wrong(key, "a probability above 0 and below 1, such as 0.95", value, share_of)
    return odds


def _probing(key: str, value: object) -> str | float | None:
    if value is None or (isinstance(value, str) and value in (AUTO, OFF)):
        return value
    seconds = _number(value)
    if seconds is None or not 0 < seconds < math.inf:
        raise _wrong(key, f"'{AUTO}', '{OFF}' or a number of seconds above 0", value, seconds_of)
    return seconds


def _flag(key: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise _wrong(key, "True or False", value, flag_of)
    return value


def _pattern(key: str, value: object) -> str:
    text = _text(key, value)
    if text is None:
        raise _wrong(key, "a regular expression", value)
    try:
        re.compile(text)
    except re.error as error:
        raise SettingsError(
            f"{key} holds {brief(text)}, which is not a regular expression: {error}."
        ) from error
    return text


def _patterns(key: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise _wrong(key, "a list of regular expressions", value)
    return tuple(_pattern(key, item) for item in value)


def _locked_ops(key: str, value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(key, 'a dict such as {".*Logits.*": "fp32"}', value)
    return {_pattern(key, op): _label(key, label) for op, label in value.items()}


def _label(key: str, value: object) -> str:
    text = _text(key, value)
    if text is None:
        raise _wrong(key, "patterns with the value that ops take, such as 'fp32'", value)
    return text


def function(returned: str) -> Check:
    """A function of a model.

    Args:
        returned: What it returns, in words.
    """

    def check(key: str, value: object) -> Any:
        if value is not None and not callable(value):
            raise _wrong(key, f"a function that takes a model and returns {returned}", value)
        return value

    return Check(check, None)


def _path(key: str, value: object) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise _wrong(key, "the path of a folder", value)
    return at_home(key, value)


def _batch_sizes(key: str, value: object) -> int | dict[int, float] | None:
    if not isinstance(value, Mapping):
        found_one: int | None = AT_LEAST_1.function(key, value)
        return found_one
    wanted = f"{key} must map sizes of batches to weights above 0, such as {{1: 1, 20: 1}}"
    found: dict[int, float] = {}
    for size, weight in value.items():
        # JSON has text only for keys.
        size = int(size) if isinstance(size, str) and size.isdecimal() else size
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_WHOLE:
            raise SettingsError(
                f"{wanted}, but the size {brief(size)} is no whole number from 1 on."
            )
        number = _number(weight)
        if number is None or not 0 < number < math.inf:
            raise SettingsError(f"{wanted}, but the weight of {size} is {brief(weight)}.")
        found[size] = number
    if not found:
        raise SettingsError(f"{wanted}, but it is empty.", "Leave it out for the default.")
    return dict(sorted(found.items()))


_STRING = {"type": "string", "minLength": 1}
_NUMBER = {"type": "number"}
_STRINGS = {"type": "array", "items": _STRING}
AT_LEAST_0, AT_LEAST_1 = whole(0), whole(1)
SEED = whole(0, MAX_SEED)
TEXT = Check(_text, _STRING)
TOKEN = Check(_token, {"type": "string"})
PROJECT_ID = Check(_project_id, {**_STRING, "maxLength": 32})
EXPERIMENT_NAME = Check(_experiment_name, {**_STRING, "maxLength": 100})
EXPERIMENT_ID = Check(_experiment_id, {"type": ["string", "integer"]})
URL = Check(checked_url, _STRING)
CA_BUNDLE = Check(checked_ca_bundle, _STRING)
CLIENT_CERT = Check(
    checked_client_cert, {"anyOf": [_STRING, {**_STRINGS, "minItems": 2, "maxItems": 2}]}
)
PROXY = Check(checked_proxy, _STRING)
HOSTS = Check(checked_hosts, _STRINGS)
WORKER = Check(_worker, {**_STRING, "maxLength": MAX_WORKER_NAME})
FLAG = Check(_flag, {"type": "boolean"})
SECONDS = Check(_seconds, {**_NUMBER, "minimum": 0})
SOME_SECONDS = Check(_some_seconds, {**_NUMBER, "exclusiveMinimum": 0})
ODDS = Check(_odds, {**_NUMBER, "exclusiveMinimum": 0, "exclusiveMaximum": 1})
PROBING = Check(_probing, {"anyOf": [{"enum": [AUTO, OFF]}, {**_NUMBER, "exclusiveMinimum": 0}]})
PATTERNS = Check(_patterns, _STRINGS)
LOCKED_OPS = Check(_locked_ops, {"type": "object", "additionalProperties": _STRING})
FOLDER = Check(_path, _STRING)
BATCH_SIZES = Check(
    _batch_sizes,
    {
        "anyOf": [
            AT_LEAST_1.schema,
            {"type": "object", "additionalProperties": {**_NUMBER, "exclusiveMinimum": 0}},
        ]
    },
)
SESSION_OPTIONS = Check(checked_session_options, SESSION_SCHEMA)
PROPERTIES = Check(
    checked_properties,
    {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
)
