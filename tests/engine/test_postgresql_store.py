"""A store on PostgreSQL: what is said when it cannot be reached, and life after a restart."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
import sqlalchemy

from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.errors import StoreError
from tests.engine.examples import discrete

SCORE = [{"name": "score", "value": 1.0}]


def _refused(url: str, *words: str) -> None:
    password = sqlalchemy.make_url(url).password
    with pytest.raises(StoreError) as caught:
        EmbeddedDriver(url)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.hint
    assert password
    assert password not in str(caught.value)


def _with(url: str, **changes: Any) -> str:
    return sqlalchemy.make_url(url).set(**changes).render_as_string(hide_password=False)


def test_messages(postgresql_url: str) -> None:
    _refused(_with(postgresql_url, password="hunter2"), "password", "sigopt")
    _refused(_with(postgresql_url, database="nowhere"), "no database nowhere", "createdb nowhere")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        _refused(_with(postgresql_url, port=port), "refused", str(port))
    _refused(_with(postgresql_url, host="nowhere.invalid"), "not known", "host")


def test_driver_is_missing(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    _refused(postgresql_url, "not installed", "nc_sigopt_strategy[postgresql]")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_names_of_the_scheme(postgresql_url: str, scheme: str) -> None:
    driver = EmbeddedDriver(scheme + postgresql_url[postgresql_url.index(":") :])
    assert driver.answer("GET", ["experiments"], {})["count"] == 0
    assert "***" in driver.storage_url
    driver.close()


def test_ids_beyond_its_integers(postgresql_url: str) -> None:
    driver = EmbeddedDriver(postgresql_url)
    path = ["experiments", driver.answer("POST", ["experiments"], discrete(2))["id"]]
    for number in (2**31, 2**63, 10**18):
        for wanted in (["experiments", str(number)], [*path, "suggestions", str(number)]):
            with pytest.raises(ApiError) as caught:
                driver.answer("GET", wanted, {})
            assert caught.value.status == 404
    driver.close()


def test_restart_of_the_server(postgresql: PostgreSQL, postgresql_url: str) -> None:
    driver = EmbeddedDriver(postgresql_url)
    path = ["experiments", driver.answer("POST", ["experiments"], discrete(9))["id"]]
    made = driver.answer("POST", [*path, "suggestions"], {})
    postgresql.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match=r"database server|refused"):
                driver.answer("GET", path, {})
    finally:
        postgresql.start()
    report = {"suggestion": made["id"], "values": SCORE}
    driver.answer("POST", [*path, "observations"], report)
    assert driver.answer("GET", path, {})["progress"]["observation_count"] == 1

    postgresql.restart()
    # The connections in the pool are broken. At most one request finds that out the hard way.
    try:
        driver.answer("POST", [*path, "suggestions"], {})
    except StoreError as error:
        assert "closed the connection" in str(error)  # noqa: PT017
    driver.answer("POST", [*path, "suggestions"], {})
    driver.close()
