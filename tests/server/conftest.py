"""A server in a thread, on an engine in a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.options import ServerOptions
from tests.server.serving import serve_in_thread


@pytest.fixture
def driver(storage_url: str) -> Iterator[EmbeddedDriver]:
    made = EmbeddedDriver(storage_url, sampler="random", seed=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and token of one server for all tests of a module that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    made = EmbeddedDriver(
        f"sqlite:///{folder / 'engine.db'}", sampler="random", seed=1, keeps_files=True
    )
    options = ServerOptions(writes_per_second=0, reads_per_second=0, files=folder / "files")
    with serve_in_thread(made, options=options) as server:
        yield server
    made.close()
