"""A module while it is traced: what it returns is changed on its way out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from nc_sigopt_strategy.backends.torch_outputs import own_kind, plain


@contextlib.contextmanager
def returning(module: Any, made: Callable[[Any], Any]) -> Iterator[None]:
    """Inside, a module returns what ``made`` makes of what its ``forward`` returns."""
    handle = module.register_forward_hook(lambda _, __, outputs: made(outputs))
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def returning_plain(module: Any) -> Iterator[list[Callable[[Any], Any]]]:
    """Inside, a module returns dicts, lists and tuples whatever its ``forward`` returns.

    Yields:
        A list whose last entry makes the module's own kind of output of those, from the first
        call on.
    """
    makers: list[Callable[[Any], Any]] = [lambda outputs: outputs]

    def noted(outputs: Any) -> Any:
        makers.append(own_kind(outputs))
        return plain(outputs)

    with returning(module, noted):
        yield makers
