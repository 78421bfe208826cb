"""Parameters wide enough for all that an experiment has observed.

Bounds, categories and grids may have been others when something was observed, and SigOpt's own
server takes assignments outside of them. A store of ours takes none, so an experiment is made
with what its observations need, and gets its own parameters when they are in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Parameter = Mapping[str, Any]


def widened(
    parameters: Sequence[Any], assignments: Iterable[Mapping[str, Any]]
) -> list[Any] | None:
    """Parameters that hold these assignments, too.

    Args:
        parameters: As a request describes them.
        assignments: Parameter name to value, of each observation or run.

    Returns:
        The parameters, in the same order; ``None`` where they hold all of them as they are. What
        no parameter could be widened to hold is left as it is.
    """
    seen: dict[str, list[Any]] = {}
    for one in assignments:
        for name, value in one.items():
            seen.setdefault(name, []).append(value)
    wide = [
        _wide(parameter, seen.get(str(parameter.get("name")), ()))
        if isinstance(parameter, Mapping)
        else parameter
        for parameter in parameters
    ]
    return None if wide == list(parameters) else wide


def _wide(parameter: Parameter, values: Sequence[Any]) -> Parameter:
    if parameter.get("type") == "categorical":
        return _with_values(parameter, "categorical_values", values, str)
    kind = int if parameter.get("type") == "int" else (int, float)
    lowest = 0 if parameter.get("transformation") == "log" else None
    numbers = [
        value
        for value in values
        if isinstance(value, kind)
        and not isinstance(value, bool)
        and (lowest is None or value > lowest)
    ]
    if parameter.get("grid"):
        return _with_values(parameter, "grid", numbers, kind)
    bounds = parameter.get("bounds")
    if not isinstance(bounds, Mapping) or not numbers:
        return parameter
    try:
        ends = {"min": min(bounds["min"], *numbers), "max": max(bounds["max"], *numbers)}
    except (KeyError, TypeError):  # for the other side to refuse
        return parameter
    return {**parameter, "bounds": {**bounds, **ends}}


def _with_values(parameter: Parameter, key: str, values: Sequence[Any], kind: Any) -> Parameter:
    """A parameter whose list of values has these at its end, each once."""
    listed = list(parameter.get(key) or ())
    known = {_name(value) for value in listed if isinstance(_name(value), (str, int, float))}
    new = dict.fromkeys(v for v in values if isinstance(v, kind) and v not in known)
    return {**parameter, key: [*listed, *new]} if new else parameter


def _name(value: Any) -> Any:
    return value.get("name") if isinstance(value, Mapping) else value
