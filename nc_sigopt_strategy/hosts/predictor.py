"""One way to call a model of whichever runtime: what makes one ``eval_fn`` serve them all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.backends.backend import Array, ModelSession

# Gets inputs of one batch, gives the outputs in the model's own order.
Predictor = Callable[[Any], list[Array]]


@dataclass(frozen=True)
class _Evaluated:
    """The model that is evaluated right now: as the user's function got it, and how to open it."""

    users: Any
    open: Callable[[], ModelSession]


_evaluated: ContextVar[_Evaluated | None] = ContextVar("nc_sigopt_evaluated", default=None)


@contextlib.contextmanager
def evaluating(users: Any, open_session: Callable[[], ModelSession]) -> Iterator[None]:
    """Inside, ``predictor(users)`` runs the model just as the tuning run times it.

    Args:
        users: What the user's function gets.
        open_session: Opens the same model with the session options or properties of the run.
    """
    token = _evaluated.set(_Evaluated(users, open_session))
    try:
        yield
    finally:
        _evaluated.reset(token)


def open_evaluated(model: Any) -> ModelSession | None:
    """A session of the model that is evaluated right now; ``None`` if it is another one."""
    current = _evaluated.get()
    if current is None:
        return None
    same = current.users is model or (isinstance(model, str) and current.users == model)
    return current.open() if same else None
