"""Replace functions of INC's for a while, and put them back."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

_MARK = "_nc_sigopt_strategy"


class Reach(NamedTuple):
    """One function that is replaced.

    Attributes:
        owner: INC's class.
        name: Of the method.
        replacement: Called with INC's own function and then that function's arguments.
    """

    owner: Any
    name: str
    replacement: Callable[..., Any]


def absent(reaches: Sequence[Reach]) -> str:
    """Those that this version of INC does not have, by name; empty if it has all."""
    names = [f"{r.owner.__name__}.{r.name}" for r in reaches if r.name not in vars(r.owner)]
    return ", ".join(names)


def are_replaced(reaches: Sequence[Reach]) -> bool:
    """Whether ``replaced`` is entered for any of them already."""
    return any(getattr(_called(r), _MARK, False) for r in reaches)


@contextlib.contextmanager
def replaced(reaches: Sequence[Reach]) -> Iterator[None]:
    """While entered, the replacements run in place of INC's functions."""
    stock = [(reach, vars(reach.owner)[reach.name]) for reach in reaches]
    try:
        for reach, real in stock:
            setattr(reach.owner, reach.name, _in_place_of(real, reach.replacement))
        yield
    finally:
        for reach, real in stock:
            setattr(reach.owner, reach.name, real)


def _in_place_of(real: Any, replacement: Callable[..., Any]) -> Any:
    if isinstance(real, staticmethod):
        function = functools.partial(replacement, real.__func__)
        setattr(function, _MARK, True)
        return staticmethod(function)

    @functools.wraps(real)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return replacement(real, self, *args, **kwargs)

    setattr(method, _MARK, True)
    return method


def _called(reach: Reach) -> Any:
    found = vars(reach.owner)[reach.name]
    return found.__func__ if isinstance(found, staticmethod) else found
