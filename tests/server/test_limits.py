"""Each limit of the server, met with a real socket."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.http_protocol import GuardedProtocol
from nc_sigopt_strategy.server.limits import RateLimit, Room
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.refusals import Refusal
from tests.server.serving import FixedTokens, serve_in_thread
from tests.server.sockets import (
    authorization,
    closed_by_peer,
    open_socket,
    read_all,
    send,
    status_of,
)

FREE = ServerOptions(writes_per_second=0, reads_per_second=0)
EXPERIMENT: dict[str, Any] = {
    "name": "limits",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
}


@contextmanager
def limited(driver: EmbeddedDriver, **limits: Any) -> Iterator[tuple[str, str]]:
    with serve_in_thread(driver, options=dataclasses.replace(FREE, **limits)) as server:
        yield server


def healthy(url: str) -> bool:
    return requests.get(f"{url}/health", timeout=30).status_code == 200


def head(token: str, *lines: str) -> bytes:
    text = "POST /v1/experiments HTTP/1.1\r\nHost: a\r\n" + authorization(token)
    return (text + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def test_a_body_that_says_it_is_too_large_is_not_read(driver: EmbeddedDriver) -> None:
    with limited(driver, max_body_bytes=1000) as (url, token):
        answer = send(url, head(token, "Content-Length: 1000000000"))
        assert status_of(answer) == 413
        assert b"larger than 1000 bytes" in answer
        assert b"connection: close" in answer.lower()
        assert healthy(url)


def test_a_chunked_body_is_cut_at_the_limit(driver: EmbeddedDriver) -> None:
    with limited(driver, max_body_bytes=1000) as (url, token), open_socket(url) as connection:
        connection.sendall(head(token, "Transfer-Encoding: chunked"))
        for _ in range(11):
            connection.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
        # It is never ended: the server does not wait for that.
        assert status_of(read_all(connection)) == 413


def test_the_client_sees_why_its_large_body_is_refused(driver: EmbeddedDriver) -> None:
    with limited(driver, max_body_bytes=1000) as (url, token):
        client = sigopt.Connection(client_token=token, api_url=url, timeout=30)
        with pytest.raises(sigopt.exception.ApiException, match="larger than 1000 bytes") as seen:
            client.experiments().create(**{**EXPERIMENT, "name": "x" * 3_000_000})
        assert seen.value.status_code == 413


def test_a_body_within_the_limit_is_taken(driver: EmbeddedDriver) -> None:
    record = {"record": {"text": "x" * 3_000_000}}
    with limited(driver) as (url, token):
        made = requests.post(
            f"{url}/v1/experiments", json=EXPERIMENT, auth=(token, ""), timeout=30
        )
        path = f"{url}/v1/experiments/{made.json()['id']}/record"
        answer = requests.put(path, json=record, auth=(token, ""), timeout=30)
        assert answer.json()["record"] == record["record"]


def test_bodies_share_the_memory_there_is(driver: EmbeddedDriver) -> None:
    with limited(driver, max_held_bytes=10_000) as (url, token):
        with open_socket(url) as first:
            first.sendall(head(token, "Content-Length: 9000") + b" " * 8000)
            answers = [
                requests.post(
                    f"{url}/v1/experiments", data=b" " * 5000, auth=(token, ""), timeout=30
                ).status_code
                for _ in range(3)
            ]
            assert 429 in answers
        assert healthy(url)


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_a_body_that_trickles(driver: EmbeddedDriver, length: str) -> None:
    with limited(driver, body_seconds=0.5) as (url, token), open_socket(url) as connection:
        connection.sendall(head(token, length) + (b"1\r\na\r\n" if "chunked" in length else b"{"))
        answer = read_all(connection)
        assert status_of(answer) == 408
        assert b"within 0.5 seconds" in answer
        assert healthy(url)


def test_a_body_nobody_wants_is_not_waited_for(driver: EmbeddedDriver) -> None:
    """401, 404 and 429 read what the client still sends, but not for ever."""
    with limited(driver, body_seconds=0.3) as (url, _):
        for request in (
            b"POST /v1/experiments HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
            b"POST /v1/nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n",
        ):
            assert status_of(send(url, request)) in (401, 404)


def test_a_body_that_never_ends_is_not_read_for_ever(driver: EmbeddedDriver) -> None:
    """Not even where the page was answered before it."""
    with limited(driver, head_seconds=0.5) as (url, _), open_socket(url) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        try:
            for _ in range(100_000):
                connection.sendall(b"x" * 1000)
                threading.Event().wait(0.001)
            ended = False
        except (BrokenPipeError, ConnectionResetError):
            ended = True
        assert ended


def test_rates_are_per_token_and_per_kind(driver: EmbeddedDriver) -> None:
    tokens = FixedTokens({"one": "write", "two": "write"})
    options = dataclasses.replace(FREE, writes_per_second=3, reads_per_second=5)
    now = 0.0
    with serve_in_thread(driver, tokens=tokens, options=options, clock=lambda: now) as (url, _):

        def statuses(method: str, token: str, count: int) -> list[int]:
            with requests.Session() as session:
                return [
                    session.request(
                        method, f"{url}/v1/experiments", json={}, auth=(token, ""), timeout=30
                    ).status_code
                    for _ in range(count)
                ]

        assert statuses("GET", "one", 8) == [200] * 5 + [429] * 3
        writes = statuses("POST", "one", 5)
        assert writes == [400] * 3 + [429] * 2, "reads and writes are counted apart"
        assert statuses("POST", "two", 3) == [400] * 3, "and tokens as well"
        refused = requests.post(f"{url}/v1/experiments", json={}, auth=("one", ""), timeout=30)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["status"] == 429
        now = 1.0
        assert statuses("POST", "one", 4) == [400] * 3 + [429]


def test_the_client_waits_when_it_is_too_fast(driver: EmbeddedDriver) -> None:
    options = dataclasses.replace(FREE, writes_per_second=10)
    with serve_in_thread(driver, options=options) as (url, token):
        client = sigopt.Connection(client_token=token, api_url=url, timeout=60)
        experiment = client.experiments().create(**EXPERIMENT).id
        made = {client.experiments(experiment).suggestions().create().id for _ in range(15)}
        assert len(made) == 15


class _Waiting:
    """An engine that answers when it is told to."""

    sampler_seconds = 0.0

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.entered = threading.Semaphore(0)

    def check(self) -> None:
        """It has no store."""

    def answer(self, method: str, path: Any, data: Any) -> dict[str, Any]:
        self.entered.release()
        self.go_on.wait(60)
        return {}


def test_too_many_at_once_are_sent_away() -> None:
    engine = _Waiting()
    options = dataclasses.replace(FREE, concurrency=4)
    with serve_in_thread(engine, options=options) as (url, token):  # type: ignore[arg-type]
        statuses: list[int] = []

        def ask() -> None:
            answer = requests.get(f"{url}/v1/experiments", auth=(token, ""), timeout=60)
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            assert engine.entered.acquire(timeout=30)
        # Of four threads and twenty places one token has two and sixteen.
        while len(statuses) < 14:
            threading.Event().wait(0.01)
        assert not engine.entered.acquire(blocking=False), "two at a time, no more"
        assert healthy(url), "and the server itself is not stuck"
        engine.go_on.set()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] * 16 + [429] * 14


def test_a_client_that_does_not_read_is_dropped(
    driver: EmbeddedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, dropped = threading.Event(), threading.Event()
    pause, lost = GuardedProtocol.pause_writing, GuardedProtocol.connection_lost

    def pause_writing(connection: GuardedProtocol) -> None:
        pause(connection)
        waiting.set()

    def connection_lost(connection: GuardedProtocol, error: Exception | None) -> None:
        lost(connection, error)
        if waiting.is_set():
            dropped.set()

    monkeypatch.setattr(GuardedProtocol, "pause_writing", pause_writing)
    monkeypatch.setattr(GuardedProtocol, "connection_lost", connection_lost)
    with limited(driver, answer_seconds=0.5) as (url, token):
        made = requests.post(
            f"{url}/v1/experiments", json=EXPERIMENT, auth=(token, ""), timeout=30
        ).json()
        path = f"/v1/experiments/{made['id']}/record"
        record = {"record": {"text": "x" * 3_900_000}}
        requests.put(f"{url}{path}", json=record, auth=(token, ""), timeout=30)
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\n{authorization(token)}\r\n".encode()
        with open_socket(url) as connection:
            # Far more than all buffers on the way hold.
            connection.sendall(request * 10)
            assert dropped.wait(60), "before this client has read anything"
            assert closed_by_peer(connection)
        assert healthy(url)


def test_buckets_fill_again() -> None:
    now = 0.0
    limit = RateLimit(2, lambda: now)
    limit.take("a")
    limit.take("a")
    with pytest.raises(Refusal, match="More than 2 requests per second"):
        limit.take("a")
    limit.take("b")
    now = 0.5
    limit.take("a")
    with pytest.raises(Refusal):
        limit.take("a")
    now = 100.0
    limit.take("a")
    limit.take("a")
    with pytest.raises(Refusal):
        limit.take("a")
    free = RateLimit(0, lambda: now)
    for _ in range(1000):
        free.take("a")


def test_room_is_given_back_whatever_happens() -> None:
    room = Room(3)
    with room.claims() as claim:
        claim(2)
        with room.claims() as other:
            other(1)
            with pytest.raises(Refusal):
                other(1)
        claim(1)
    with pytest.raises(ZeroDivisionError), room.claims() as claim:  # noqa: PT012
        claim(3)
        raise ZeroDivisionError
    with room.claims() as claim:
        claim(3)
