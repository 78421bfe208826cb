"""What the tests of client programs share: a client on our server, and plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.options import ServerOptions
from tests.server.serving import serve_in_thread

TOKEN = "a-token-of-the-tests"

QUIET = ServerOptions(writes_per_second=0, reads_per_second=0, access_log=False)
Point = tuple[float, float]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Inside, a server with a store in a folder answers whoever has ``TOKEN``; its address."""
    driver = EmbeddedDriver(f"sqlite:///{folder / 'server.db'}", seed=1)
    with serve_in_thread(driver, TOKEN, options=QUIET) as (address, _):
        yield address
    driver.close()


def new_client(url: str, token: str = TOKEN) -> Any:
    """SigOpt's client as a user makes it."""
    return sigopt.Connection(client_token=token, api_url=url)


def everything(pagination: Any) -> list[Any]:
    """All items of a list, over all its pages."""
    return list(pagination.iterate_pages())


def value_of(observed: Any, name: str) -> float:
    """The value of one metric of an observation or of best assignments."""
    (found,) = [value.value for value in observed.values if value.name == name]
    return float(found)


def not_dominated(points: Sequence[Point]) -> set[Point]:
    """The Pareto set, with more of the first and less of the second being better."""
    return {
        one
        for one in points
        if not any(other != one and other[0] >= one[0] and other[1] <= one[1] for other in points)
    }


def pairs(observed: Iterable[Any], first: str, second: str) -> list[Point]:
    """Two metrics of each observation that has not failed."""
    return [
        (value_of(one, first), value_of(one, second))
        for one in observed
        if not getattr(one, "failed", False)
    ]
