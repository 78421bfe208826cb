"""The settings of ONNX Runtime's sessions that a user may choose, checked without ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.quantities import brief

THREAD_KEYS = ("intra_op_num_threads", "inter_op_num_threads")
LEVEL_KEY = "graph_optimization_level"
LEVELS = ("disable", "basic", "extended", "all")
SPINNING_KEY = "allow_spinning"
KEYS = (*THREAD_KEYS, LEVEL_KEY, SPINNING_KEY)
_DEFAULTS = {**dict.fromkeys(THREAD_KEYS, 0), LEVEL_KEY: LEVELS[-1], SPINNING_KEY: False}

SESSION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **{key: {"type": "integer", "minimum": 0} for key in THREAD_KEYS},
        LEVEL_KEY: {"enum": list(LEVELS)},
        SPINNING_KEY: {"type": "boolean"},
    },
}


def checked_session_options(key: str, value: object) -> dict[str, Any] | None:
    """Session options as a new dict in one fixed order; ``None`` if none are given.

    Args:
        key: What a message calls them.
        value: Thread counts of at least 0 (0: ONNX Runtime decides), one of ``LEVELS``, and
            whether threads spin while they wait.

    Raises:
        SettingsError: No mapping, an unknown option, or a value out of range.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"{key} must be a dict, but is {brief(value)} ({type(value).__name__}).",
            'For example: {"intra_op_num_threads": 2, "graph_optimization_level": "all"}.',
        )
    unknown = [name for name in value if name not in KEYS]
    if any("provider" in str(name) for name in unknown):
        raise SettingsError(
            f"{key} names {brief(unknown[0])}, and models are tuned for the CPU alone.",
            "Leave it out: CPUExecutionProvider runs them. Other providers have tools of their "
            "own for int8.",
        )
    if unknown:
        raise SettingsError(
            f"{key} has an unknown option {brief(unknown[0])}.",
            f"Known options: {', '.join(KEYS)}.",
        )
    for name in THREAD_KEYS:
        threads = value.get(name, 0)
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 0:
            raise SettingsError(
                f"{key}: {name} must be a whole number of at least 0, but is {brief(threads)}.",
                "0 leaves the number of threads to ONNX Runtime.",
            )
    level = value.get(LEVEL_KEY, LEVELS[-1])
    if level not in LEVELS:
        raise SettingsError(
            f"{key}: {LEVEL_KEY} must be one of {', '.join(LEVELS)}, but is {brief(level)}."
        )
    spinning = value.get(SPINNING_KEY, False)
    if not isinstance(spinning, bool):
        raise SettingsError(
            f"{key}: {SPINNING_KEY} must be true or false, but is {brief(spinning)}.",
            "Without it the threads of timed sessions wait without spinning.",
        )
    return {name: value[name] for name in KEYS if name in value} or None


def that_change_something(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options that are not the defaults: two runs are alike if these are equal."""
    return {name: value for name, value in (options or {}).items() if value != _DEFAULTS[name]}
