"""PostgreSQL for whoever asks for it: skipped where it is not installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from nc_sigopt_benchmarks.research.parallel.postgresql import (
    NoPostgreSQLError,
    PostgreSQL,
    programs,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server, for tests that stop and restart it."""
    try:
        programs()
    except NoPostgreSQLError as error:
        pytest.skip(f"{error.fact} Install it with: {error.hint}")
    pytest.importorskip("psycopg")
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> str:
    """The URL of an empty database for this test: ``postgresql+psycopg://...``."""
    return postgresql.database(f"test_{next(_numbers)}")
