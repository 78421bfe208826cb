"""Values of a run configuration as typed ones; a mistake in them in our words, with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from nc_sigopt_benchmarks.config.paths import FOLDER
from nc_sigopt_benchmarks.config.places import KeyPath, Places
from nc_sigopt_benchmarks.config.run_config import RunFile
from nc_sigopt_benchmarks.config.schema import adapter, declared
from nc_sigopt_strategy.settings.quantities import brief, flag_of, seconds_of, share_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MAPPING = "a mapping of keys to values"
_NESTED = {"dataclass_type": _MAPPING, "dict_type": _MAPPING, "list_type": "a list"}
_WHOLE, _NUMBERS, _FLAG = "int_type", ("int_type", "float_type"), "bool_type"
# By the names of pydantic's errors: https://docs.pydantic.dev/latest/errors/validation_errors/
_WANTED = {
    **_NESTED,
    "string_type": "text",
    _WHOLE: "a whole number",
    "float_type": "a finite number",
    "finite_number": "a finite number",
    _FLAG: "true or false",
}
# The last part of pydantic's place of a mistake in a key.
_KEY = "[key]"


def checked(values: Mapping[str, Any], places: Places) -> RunFile:
    """What a file says, as typed values.

    Args:
        values: Of the file, as plain Python objects.
        places: Where they stand.

    Raises:
        ConfigFileError: A key is unknown or missing, or a value is of the wrong type or out of
            range. Of several mistakes it tells the first in the file.
    """
    from pydantic import ValidationError

    try:
        return adapter().validate_python(values, context={FOLDER: places.path.parent})
    except ValidationError as error:
        complaints = [_explain(mistake) for mistake in error.errors(include_url=False)]
    # Outside of the handler: pydantic's own error shows values, and one of them may be a token.
    raise places.wrong(*min(complaints, key=lambda complaint: places.line_of(complaint[0])))


def _explain(mistake: ErrorDetails) -> tuple[KeyPath, str, str]:
    """Which key is wrong, what is wrong with it, and the way out."""
    key: KeyPath = mistake["loc"]
    rule, limits, value = mistake["type"], mistake.get("ctx", {}), mistake["input"]
    if key and key[-1] == _KEY:
        return key[:-1], f"is {_describe(value)} as a key", "Keys are text: put it in quotes."
    if rule in ("unexpected_keyword_argument", "invalid_key"):
        return _unknown(key)
    if rule == "missing":
        return key, "is missing", "Add it; see configs/demo.yaml for an example."
    if rule == "literal_error":
        known = declared(key)["enum"]
        return key, f"is {_describe(value)}, which is not known", _suggestion(str(value), known)
    if rule == "value_error":
        return key, f"is {_describe(value)}: {limits['error']}", "Name another path."
    return key, f"is {_shown(value, rule)}", " ".join(_ways_out(mistake))


def _unknown(key: KeyPath) -> tuple[KeyPath, str, str]:
    name, colon, _ = str(key[-1]).partition(":")
    missing = "A space belongs behind the colon of a key. " if colon else ""
    hint = _suggestion(name, sorted(declared(key[:-1])["properties"]))
    return key, "is not a known key", f"{missing}{hint}"


def _ways_out(mistake: ErrorDetails) -> Iterator[str]:
    rule, value = mistake["type"], mistake["input"]
    if rule == "greater_than_equal":
        yield f"The least that makes sense is {mistake['ctx']['ge']}."
    elif rule == "less_than_equal":
        yield f"The most that can be is {mistake['ctx']['le']}."
    elif rule == "string_pattern_mismatch":
        yield "Use letters, digits, dots, dashes and underscores: it becomes a folder's name."
    elif rule in _WANTED:
        yield f"It must be {_WANTED[rule]}."
        if isinstance(value, str):
            yield from _as_meant(str(mistake["loc"][-1]), value, rule)
    else:
        yield "It must not be empty."


def _as_meant(key: str, text: str, rule: str) -> Iterator[str]:
    """How to write what a text seems to mean, where it can be told."""
    flag = flag_of(text)
    if rule == _FLAG and flag is not None:
        yield f"Write {'true' if flag else 'false'}, without quotes."
    if rule not in _NUMBERS:
        return
    number, seconds = share_of(text), seconds_of(text)
    if number is not None and (rule != _WHOLE or number.is_integer()):
        yield f"Write {number:.12g}, without quotes."
    elif seconds is not None and (key == "timeout" or key.endswith("seconds")):
        yield f"It is in seconds: write {seconds:.12g}."


def _suggestion(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    start = f"Did you mean {near[0]!r}? " if near else ""
    return f"{start}Known here: {', '.join(known)}."


def _shown(value: Any, rule: str) -> str:
    # A mapping that was written as text may hold a token.
    return kind_of(value) if rule in _NESTED else _describe(value)


def _describe(value: Any) -> str:
    kind = kind_of(value)
    if value is None or not isinstance(value, (str, int, float, date)):
        return kind
    shown = str(value).lower() if isinstance(value, bool) else brief(value)
    return f"{shown} ({kind})"


def kind_of(value: Any) -> str:
    """What a value is, in YAML's words."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    kind = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kind.get(type(value), type(value).__name__)
