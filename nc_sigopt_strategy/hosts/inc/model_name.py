"""What the user calls a model that Neural Compressor has wrapped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from nc_sigopt_strategy.hosts.model_kind import name_of_model

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


def name_of(model: Any) -> str:
    """The name.

    Args:
        model: INC's model object.
    """
    if _told.get():
        return _told.get()
    # ONNX models keep their path under the one name, frozen graphs under the other.
    for attribute in ("model_path", "_model"):
        found = getattr(model, attribute, None)
        if isinstance(found, str) and found:
            return name_of_model(found)
    return name_of_model(getattr(model, "_model", model))
