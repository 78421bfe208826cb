"""A store that does not answer: those who ask are told within seconds, and SIGTERM ends all."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database.watchdog import (
    LONGEST_SECONDS,
    PATIENCE_SECONDS,
    Watchdog,
)
from nc_sigopt_strategy.errors import StoreAwayError
from nc_sigopt_strategy.server.app import App
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.tokens import TokenStore
from tests.engine.examples import discrete
from tests.server.serving import ServerProcess, make_token, run_app, serve_in_thread

# How long a test waits for what must come "within seconds", on a machine that is busy.
LONG = 120.0


def made_experiment(url: str, token: str) -> str:
    answer = requests.post(
        f"{url}/v1/experiments", json=discrete(9), auth=(token, ""), timeout=LONG
    )
    return f"{url}/v1/experiments/{answer.json()['id']}"


def test_a_frozen_postgresql_is_told_and_forgiven(postgresql: Any, postgresql_url: str) -> None:
    token = make_token(postgresql_url)
    with ServerProcess(postgresql_url, "--sampler", "random", "--concurrency", "4") as server:
        address = made_experiment(server.url, token)
        statuses: list[int] = []

        def suggest() -> None:
            answer = requests.post(
                f"{address}/suggestions", json={}, auth=(token, ""), timeout=LONG
            )
            statuses.append(answer.status_code)

        postgresql.freeze()
        try:
            askers = [threading.Thread(target=suggest) for _ in range(6)]
            for asker in askers:
                asker.start()
            assert requests.get(f"{server.url}/health", timeout=LONG).status_code == 503
            for asker in askers:
                asker.join()
            assert statuses == [503] * 6
            # From now on nobody waits.
            started = time.monotonic()
            for _ in range(20):
                answer = requests.get(address, auth=(token, ""), timeout=LONG)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert time.monotonic() - started < 20 * PATIENCE_SECONDS / 2
            assert "does not answer" in server.log
        finally:
            postgresql.thaw()
        deadline = time.monotonic() + LONG
        while requests.get(f"{server.url}/health", timeout=LONG).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        suggest()
        assert statuses[-1] == 200
        assert "answers again" in server.log
        assert "Traceback" not in server.log


def test_sigterm_ends_a_server_whose_postgresql_is_frozen(
    postgresql: Any, postgresql_url: str
) -> None:
    token = make_token(postgresql_url)
    with ServerProcess(postgresql_url, "--sampler", "random") as server:
        address = made_experiment(server.url, token)
        postgresql.freeze()
        try:
            asker = threading.Thread(
                target=lambda: requests.get(address, auth=(token, ""), timeout=LONG)
            )
            asker.start()
            time.sleep(0.5)
            assert server.stop() == 0
        finally:
            postgresql.thaw()
        asker.join()


def test_sigterm_ends_a_server_whose_sqlite_file_is_locked(storage_url: str) -> None:
    token = make_token(storage_url)
    with ServerProcess(storage_url, "--sampler", "random") as server:
        address = made_experiment(server.url, token)
        holder = sqlite3.connect(storage_url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        def suggest() -> None:
            try:
                requests.post(f"{address}/suggestions", json={}, auth=(token, ""), timeout=LONG)
            except requests.ConnectionError:
                """The server ended first, as it should."""

        asker = threading.Thread(target=suggest)
        asker.start()
        time.sleep(1.0)
        started = time.monotonic()
        assert server.stop() == 0
        # Its thread would wait for the lock for a minute.
        assert time.monotonic() - started < 45
        asker.join()
        holder.execute("ROLLBACK")
        holder.close()
    assert "left behind" in server.log


def test_health_tells_that_the_file_is_gone(storage_url: str) -> None:
    driver, tokens = EmbeddedDriver(storage_url), TokenStore(storage_url)
    path = Path(storage_url.removeprefix("sqlite:///"))
    with run_app(App(driver, tokens, ServerOptions())) as url:

        def health() -> int:
            time.sleep(1.1)  # it looks once a second
            return requests.get(f"{url}/health", timeout=LONG).status_code

        assert health() == 200
        path.rename(path.with_name("aside.db"))
        assert health() == 503
        path.with_name("aside.db").replace(path)
        assert health() == 200
    driver.close()
    tokens.close()


def test_health_answers_however_long_the_store_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        looks = 0
        go_on = threading.Event()

        def answer(self, method: str, path: Any, data: Any) -> dict[str, Any]:
            return {}

        def check(self) -> None:
            self.looks += 1
            self.go_on.wait(LONG)

    monkeypatch.setattr("nc_sigopt_strategy.server.health.ANSWER_SECONDS", 0.2)
    slow = Slow()
    driver: Any = slow
    with serve_in_thread(driver) as (url, _):
        for _ in range(5):
            answer = requests.get(f"{url}/health", timeout=LONG)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert slow.looks == 1, "one look at a time, however many ask"
        slow.go_on.set()
        deadline = time.monotonic() + LONG
        while requests.get(f"{url}/health", timeout=LONG).status_code != 200:
            assert time.monotonic() < deadline


class _Watched:
    """A watchdog on a clock of the test's, and one connection that is taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.says: Exception | None = None
        self.reached = 0
        self.cut: list[str] = []
        monkeypatch.setattr("nc_sigopt_strategy.engine.database.watchdog._shut", self.cut.append)
        self.dog = Watchdog(self.reach, "the store", lambda: self.now)
        self.dog._taken[1] = (0.0, "one")

    def reach(self) -> None:
        self.reached += 1
        if self.says is not None:
            raise self.says

    def look(self, after: float) -> None:
        self.now += after
        self.dog.look()


def test_a_slow_server_is_waited_for_and_not_asked_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = _Watched(monkeypatch)
    watched.look(PATIENCE_SECONDS / 2)
    assert watched.reached == 0
    for _ in range(8):
        watched.look(PATIENCE_SECONDS / 2)
    assert 3 <= watched.reached <= 5
    assert watched.cut == []
    watched.dog.check()
    watched.look(LONGEST_SECONDS)
    assert watched.cut == ["one"], "but not for ever"
    watched.dog.check()


def test_a_silent_server_is_waited_for_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = _Watched(monkeypatch)
    watched.says = OSError("connection timeout expired")
    watched.look(PATIENCE_SECONDS + 1)
    assert watched.cut == ["one"]
    with pytest.raises(StoreAwayError, match="the store does not answer"):
        watched.dog.check()
    watched.says = None
    watched.look(0.5)
    watched.dog.check()
    # One that says why it refuses is not silent.
    watched.dog._taken[2] = (0.0, "two")
    watched.says = OSError("FATAL: sorry, too many clients already")
    watched.look(PATIENCE_SECONDS + 1)
    watched.dog.check()
    assert watched.cut == ["one"]
