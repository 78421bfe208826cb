"""The engine's table of routes, as far as a route can ever succeed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nc_sigopt_strategy.engine.routes import table as routes


def route_table() -> dict[str, tuple[str, ...]]:
    """Patterns (``{int}`` a number, ``{text}`` any part) to their verbs.

    Verbs that are there only to say why they are refused are left out: to a caller they are
    like any other that is not offered.
    """
    return {
        pattern: tuple(verb for verb, handler in verbs.items() if not always_refuses(handler))
        for pattern, verbs in routes.TABLE.items()
    }


def always_refuses(handler: Callable[..., Any]) -> bool:
    """Whether a handler is there only to say why its verb is not offered."""
    return handler.__name__.startswith("refuse")
