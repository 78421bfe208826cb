"""The checks that many routes share: keys, names, numbers, metadata, query parameters.

Each raises ``ApiError`` 400 with the key, the value received and what would be right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from nc_sigopt_strategy.engine.api_error import bad_request

MAX_NAME_LENGTH = 100
MAX_METADATA_KEYS = 100
MAX_METADATA_KEY_LENGTH = 100
MAX_METADATA_VALUE_LENGTH = 500
# How deep JSON may be nested: far below what Python's own recursion takes.
MAX_DEPTH = 100

# Far fewer than Python refuses to read; such numbers are compared and never reach a database.
_DIGITS = re.compile(r"-?[0-9]{1,300}")
_QUERY_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

JsonObject = dict[str, Any]


def check_keys(data: Mapping[str, Any], known: Collection[str], what: str = "json") -> None:
    """Refuse keys that the route does not know."""
    unknown = sorted(key for key in data if key not in known)
    if unknown:
        named = ", ".join(key if len(key) <= 60 else show(key) for key in unknown[:10])
        raise bad_request(f"Unknown {what} keys: {named}. Known ones: {', '.join(sorted(known))}.")


def required(data: Mapping[str, Any], key: str) -> Any:
    """The value of a key that must be there and not null."""
    if data.get(key) is None:
        raise bad_request(f"Missing required json key: {key}")
    return data[key]


def object_(value: Any, what: str) -> JsonObject:
    """A JSON object."""
    if not isinstance(value, dict):
        raise bad_request(f"Invalid type for {what}: expected an object, got {show(value)}")
    return value


def array(value: Any, what: str) -> list[Any]:
    """A JSON array."""
    if not isinstance(value, list):
        raise bad_request(f"Invalid type for {what}: expected an array, got {show(value)}")
    return value


def name(value: Any, what: str, max_length: int = MAX_NAME_LENGTH) -> str:
    """A non-empty string without control characters, stripped of outer blanks."""
    if not isinstance(value, str):
        raise bad_request(f"Invalid type for {what}: expected a string, got {show(value)}")
    text = value.strip()
    if not text:
        raise bad_request(f"The length of {what} must be greater than or equal to 1")
    if len(text) > max_length:
        raise bad_request(
            f"The length of {what} must be less than or equal to {max_length}, got {len(text)}"
        )
    if any(ord(character) < 0x20 for character in text):
        raise bad_request(f"{what} must not contain control characters: {show(value)}")
    return text


def text(value: Any, what: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise bad_request(f"Invalid type for {what}: expected a string, got {show(value)}")
    return value


def one_of(value: Any, allowed: Collection[str], what: str) -> str:
    """One of a few fixed strings."""
    if not isinstance(value, str) or value not in allowed:
        raise bad_request(
            f"Invalid value for {what}: {show(value)}, must be one of {', '.join(allowed)}"
        )
    return value


def number(value: Any, what: str) -> float:
    """A finite number; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad_request(f"Invalid type for {what}: expected a number, got {show(value)}")
    if not _is_finite(value):
        raise bad_request(f"Invalid value for {what}: {show(value)} is not a finite number")
    return float(value)


def integer(value: Any, what: str, minimum: int | None = None) -> int:
    """A whole number, also when written as ``3.0``."""
    if number(value, what) != int(value):
        raise bad_request(f"Invalid type for {what}: expected an integer, got {show(value)}")
    if minimum is not None and value < minimum:
        raise bad_request(f"{what} must be greater than or equal to {minimum}, got {show(value)}")
    return int(value)


def boolean(value: Any, what: str) -> bool:
    """A JSON boolean."""
    if isinstance(value, bool):
        return value
    raise bad_request(f"Invalid type for {what}: expected a boolean, got {show(value)}")


def query_boolean(value: Any, what: str) -> bool:
    """A boolean that may come as text in a query string: true or false in any case, 1 or 0."""
    if isinstance(value, str) and value.lower() in _QUERY_BOOLEANS:
        return _QUERY_BOOLEANS[value.lower()]
    return boolean(value, what)


def query_integer(value: Any, what: str) -> int:
    """An integer that may come as digits in a query string."""
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise bad_request(f"Invalid value for {what}: {show(value)}, expected an integer")
        return int(value)
    return integer(value, what)


def metadata(value: Any, what: str = "metadata") -> JsonObject | None:
    """Metadata within SigOpt's limits; entries that are null are dropped."""
    if value is None:
        return None
    entries = object_(value, what)
    if len(entries) > MAX_METADATA_KEYS:
        raise bad_request(f"{what} must have at most {MAX_METADATA_KEYS} keys, got {len(entries)}")
    kept: JsonObject = {}
    for key, entry in entries.items():
        name(key, f"{what} key", MAX_METADATA_KEY_LENGTH)
        if entry is None:
            continue
        if isinstance(entry, str):
            if len(entry) > MAX_METADATA_VALUE_LENGTH:
                raise bad_request(
                    f"The length of {what}.{key} must be less than or equal to "
                    f"{MAX_METADATA_VALUE_LENGTH}, got {len(entry)}"
                )
        else:
            number(entry, f"{what}.{key}")
        kept[key] = entry
    return kept


def check_json(value: Any, where: str = "json", depth: int = 0) -> None:
    """Refuse what JSON over HTTP would not carry, and what no database would keep.

    That is NaN, infinities, integers beyond a double, NUL characters, halves of surrogate pairs,
    and nesting beyond ``MAX_DEPTH``.
    """
    if depth > MAX_DEPTH:
        raise bad_request(f"The request is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise bad_request(f"{where} has a key that is not a string: {show(key)}")
            _check_text(key, where)
            check_json(entry, f"{where}.{key}"[:200], depth + 1)
    elif isinstance(value, list):
        for entry in value:
            check_json(entry, where, depth + 1)
    else:
        _check_single(value, where)


def is_storable(text: str) -> bool:
    """Whether a database can keep a text: no NUL character and no half of a surrogate pair."""
    return "\0" not in text and not any(0xD800 <= ord(character) < 0xE000 for character in text)


def show(value: Any) -> str:
    """A short picture of a value for a message."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large integer"
    if isinstance(value, (str, list)):
        value = value[:60]
    elif isinstance(value, dict) and len(value) > 5:
        return f"an object with {len(value)} keys"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_single(value: Any, where: str) -> None:
    """Refuse a value that is neither an object nor an array and that JSON would not carry."""
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, (int, float)):  # booleans are finite integers
        if not _is_finite(value):
            shown = value if isinstance(value, float) else "an integer beyond a double"
            raise bad_request(f"{where} holds {shown}, which is not a finite number")
    elif value is not None:
        raise bad_request(f"{where} holds {show(value)}, which is not JSON")


def _check_text(text: str, where: str) -> None:
    if text.isascii() and "\0" not in text:
        return
    if "\0" in text:
        raise bad_request(f"{where} holds a NUL character"[-300:])
    if not is_storable(text):
        raise bad_request("The request holds half of a surrogate pair, which is no character")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a double holds
        return False
