"""A server in a thread, on an engine in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sigopt.ratelimit import failed_status_rate_limit

from nc_sigopt_strategy.embedded import EmbeddedDriver

from .serving import serve_in_thread


@pytest.fixture(autouse=True)
def _no_slowing_down() -> Iterator[None]:
    """The client sleeps after five failures in a row, in whatever test they were."""
    failed_status_rate_limit.clear()
    yield
    failed_status_rate_limit.clear()


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store' / 'engine.db'}"


@pytest.fixture
def driver(storage_url: str) -> Iterator[EmbeddedDriver]:
    made = EmbeddedDriver(storage_url, sampler="random", seed=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and token of one server for all tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    made = EmbeddedDriver(f"sqlite:///{folder / 'engine.db'}", sampler="random", seed=1)
    with serve_in_thread(made) as server:
        yield server
    made.close()
