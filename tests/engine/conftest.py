"""Connections of the real client: to the engine in this process, and over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.http_server import serve_driver


@pytest.fixture(params=["sqlite", "postgresql"])
def any_storage_url(request: pytest.FixtureRequest) -> str:
    """A new store of each kind that several processes can share."""
    name = "storage_url" if request.param == "sqlite" else "postgresql_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def driver(storage_url: str) -> Iterator[EmbeddedDriver]:
    made = EmbeddedDriver(storage_url, seed=1)
    yield made
    made.close()


@pytest.fixture
def embedded() -> Iterator[Any]:
    """The client on an engine in this process, in memory."""
    made = EmbeddedDriver("sqlite://", seed=1)
    yield sigopt.Connection(driver=lambda **_: made)
    made.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    """One client in memory for all tests of a module that only provoke refusals."""
    made = EmbeddedDriver("sqlite://", seed=1)
    yield sigopt.Connection(driver=lambda **_: made)
    made.close()


@pytest.fixture(params=["embedded", "http"])
def connection(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The client on an engine in memory, and over HTTP on one in a file."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    driver = request.getfixturevalue("driver")
    with serve_driver(driver, "secret-token") as url:
        client = sigopt.Connection(client_token="secret-token", api_url=url)
        yield client
        client.impl.driver.session.close()
