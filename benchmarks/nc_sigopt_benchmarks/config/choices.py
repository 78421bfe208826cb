"""Settings of a strategy that take one of a few values, checked."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from nc_sigopt_strategy.errors import SettingsError


def check_choices(
    name: str, kwargs: Mapping[str, Any], choices: Mapping[str, Collection[Any]]
) -> None:
    """Refuse keys and values that a strategy does not know.

    Args:
        name: Of the strategy.
        kwargs: What was given.
        choices: Key to the values that it can have.

    Raises:
        SettingsError: One of them is wrong.
    """
    for key, value in kwargs.items():
        if key not in choices:
            near = difflib.get_close_matches(str(key), choices, n=1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            known = f"Known: {', '.join(choices)}." if choices else "It has none at all."
            raise _about(key, f"{name} has no setting {key!r}.", f"{meant}{known}")
        # 1 is equal to True, and not what is meant.
        if not any(value == choice and type(value) is type(choice) for choice in choices[key]):
            known = ", ".join(str(choice) for choice in choices[key])
            raise _about(key, f"{name}: {key} is {value!r}.", f"It must be one of {known}.")


def _about(key: str, fact: str, hint: str) -> SettingsError:
    error = SettingsError(fact, hint)
    error.key = key
    return error
