"""What the user calls a model that Neural Compressor has wrapped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from nc_sigopt_strategy.hosts.model_kind import name_of_model

_ATTRIBUTE = "_nc_sigopt_name"
_told: ContextVar[str] = ContextVar("name of the model that is tuned", default="")


@contextlib.contextmanager
def called(name: str) -> Iterator[None]:
    """Inside, the model that ``fit`` gets has this name, whatever it was loaded from.

    ``fit`` hands no such thing on to a strategy, and a SavedModel is a graph by then.
    """
    token = _told.set(name)
    try:
        yield
    finally:
        _told.reset(token)


def keep_name(wrapped: Any, root: Any) -> None:
    """Note on INC's model object what the user calls what it was made of."""
    setattr(wrapped, _ATTRIBUTE, name_of_model(root))


def name_of(model: Any) -> str:
    """The name.

    Args:
        model: INC's model object.
    """
    return _told.get() or getattr(model, _ATTRIBUTE, "") or name_of_model(model)
