"""Whoever has another token is not behind all requests of one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine import store as store_module
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.refusals import Refusal
from nc_sigopt_strategy.server.turns import Turns
from tests.engine.examples import discrete
from tests.server.serving import FixedTokens, serve_in_thread

LONG = 120.0
NO_RATES = {"writes_per_second": 0, "reads_per_second": 0}


class Waiting:
    """An engine that answers what is asked of experiment 1 when it is told to."""

    sampler_seconds = 0.0

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.at_work: list[str] = []

    def check(self) -> None:
        """It has no store."""

    def answer(self, method: str, path: list[str], data: Any) -> dict[str, Any]:
        if path[1] == "1":
            self.at_work.append("/".join(path))
            self.go_on.wait(LONG)
        return {}


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def ask(url: str, token: str, *parts: str, verb: str = "GET", body: bytes = b"") -> int:
    address = "/".join([url, "v1/experiments", *parts])
    return requests.request(verb, address, data=body, auth=(token, ""), timeout=LONG).status_code


class Asking:
    """Requests in threads; those that are answered leave their status."""

    def __init__(self, count: int, *args: str, **options: Any) -> None:
        self.statuses: list[int] = []
        self._threads = [
            threading.Thread(target=lambda: self.statuses.append(ask(*args, **options)))
            for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join()
        return self.statuses


def until(true: Any) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_token_takes_half_of_the_threads(waiting: Waiting) -> None:
    tokens = FixedTokens({"greedy": "write", "modest": "read"})
    options = ServerOptions(concurrency=4, **NO_RATES)  # type: ignore[arg-type]
    driver: Any = waiting
    with serve_in_thread(driver, tokens=tokens, options=options) as (url, _):
        greedy = Asking(12, url, "greedy", "1")
        until(lambda: len(waiting.at_work) == 2)
        for _ in range(5):
            assert ask(url, "modest", "2") == 200
        assert len(waiting.at_work) == 2
        waiting.go_on.set()
        assert greedy.join() == [200] * 12


def test_one_token_leaves_places_to_others(waiting: Waiting) -> None:
    tokens = FixedTokens({"greedy": "write", "modest": "read"})
    options = ServerOptions(concurrency=2, **NO_RATES)  # type: ignore[arg-type]
    driver: Any = waiting
    with serve_in_thread(driver, tokens=tokens, options=options) as (url, _):
        greedy = Asking(14, url, "greedy", "1")
        # Of ten places it has eight.
        until(lambda: len(greedy.statuses) == 6)
        assert greedy.statuses == [429] * 6
        assert ask(url, "modest", "2") == 200
        waiting.go_on.set()
        assert sorted(greedy.join()) == [200] * 8 + [429] * 6


def test_an_experiment_has_one_turn_however_it_is_written(waiting: Waiting) -> None:
    driver: Any = waiting
    with serve_in_thread(driver) as (url, token):
        asking = [
            Asking(3, url, token, number, "suggestions", verb="POST")
            for number in ("1", "01", "0001")
        ]
        until(lambda: len(waiting.at_work) >= 1)
        time.sleep(0.5)
        assert len(waiting.at_work) <= 2
        waiting.go_on.set()
        assert [other.join() for other in asking] == [[200] * 3] * 3


def test_large_bodies_have_two_threads(waiting: Waiting) -> None:
    body = json.dumps({"metadata": {"a": "x" * 100_000}}).encode()
    driver: Any = waiting
    with serve_in_thread(driver) as (url, token):
        asking = Asking(6, url, token, "1", verb="PUT", body=body)
        until(lambda: len(waiting.at_work) == 2)
        time.sleep(0.3)
        assert len(waiting.at_work) == 2
        # Small ones are worked on beside them.
        assert ask(url, token, "2", verb="PUT", body=b"{}") == 200
        waiting.go_on.set()
        assert asking.join() == [200] * 6


def test_turns_are_given_back_and_forgotten() -> None:
    turns = Turns(4, 20)

    async def fail() -> None:
        for _ in range(10):
            with pytest.raises(KeyError), turns.place("a"):
                async with turns.turn("a", "1"):
                    raise KeyError
        cancelled = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        with turns.place("a"):
            async with turns.turn("a", "1"):
                """It is free."""

    async def hold() -> None:
        with turns.place("a"):
            async with turns.turn("a", "1"):
                await asyncio.sleep(LONG)

    asyncio.run(fail())
    assert not turns._held
    assert not turns._turns
    places = [turns.place("a") for _ in range(17)]
    for place in places[:16]:
        place.__enter__()
    with pytest.raises(Refusal, match="Too many"):
        places[16].__enter__()


def test_large_histories_are_read_one_at_a_time(
    storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or as many as there are threads would be in memory before the oldest is forgotten."""
    filler = EmbeddedDriver(storage_url, sampler="random")
    ids = [filler.answer("POST", ["experiments"], discrete(2))["id"] for _ in range(4)]
    report = {"assignments": {"p0": "v0"}, "values": [{"value": 1.0}]}
    for number, known in enumerate(ids):
        batch = {"observations": [report] * (2 if number == 3 else 5)}
        filler.answer("POST", ["experiments", known, "observations", "batch"], batch)
    filler.close()
    monkeypatch.setattr(store_module, "_LARGE_VALUES", 5)
    driver = EmbeddedDriver(storage_url, sampler="random")
    go_on, reading, most = threading.Event(), [0], [0]
    original = History.refresh

    def refresh(history: History) -> None:
        large = str(history.study_id) != ids[3] and not history.is_read
        reading[0] += large
        most[0] = max(most[0], reading[0])
        if large:
            go_on.wait(LONG)
        original(history)
        reading[0] -= large

    monkeypatch.setattr(History, "refresh", refresh)
    threads = [
        threading.Thread(target=driver.answer, args=("GET", ["experiments", known], {}))
        for known in ids[:3]
    ]
    for thread in threads:
        thread.start()
    until(lambda: reading[0])
    # A small one is read beside it.
    assert driver.answer("GET", ["experiments", ids[3]], {})["progress"]["observation_count"] == 2
    go_on.set()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    driver.close()
