"""What a one-shot strategy gives, and the check of its settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.errors import SettingsError


@dataclass(frozen=True)
class OneShot:
    """A model that was built at once.

    Attributes:
        model_object: What an ``eval_func`` gets.
        serialized: Content of its file.
        recipe: What Neural Compressor rebuilds it from; ``None`` if it made none.
    """

    model_object: Any
    serialized: bytes
    recipe: Mapping[str, Any] | None = None


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
            raise SettingsError(
                f"{name} has no setting {key!r}.", f"{meant}Known: {', '.join(choices)}."
            )
        if value not in choices[key]:
            known = ", ".join(str(choice) for choice in choices[key])
            raise SettingsError(f"{name}: {key} is {value!r}.", f"It must be one of {known}.")
