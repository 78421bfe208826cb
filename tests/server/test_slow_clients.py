"""Clients that are slow, silent or hostile do not stop the others."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import sigopt

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.http_protocol import OpenConnections
from nc_sigopt_strategy.server.options import ServerOptions
from tests.server.serving import serve_in_thread
from tests.server.sockets import (
    authorization,
    closed_by_peer,
    open_socket,
    read_all,
    read_until,
    status_of,
)

FREE = ServerOptions(writes_per_second=0, reads_per_second=0, access_log=False)
EXPERIMENT: dict[str, Any] = {
    "name": "among slow ones",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": ["m"],
}


def tune(url: str, token: str, trials: int) -> int:
    """What a normal client does; the number of observations at the end."""
    client = sigopt.Connection(client_token=token, api_url=url, timeout=60)
    experiment = client.experiments().create(**EXPERIMENT).id
    endpoint = client.experiments(experiment)
    for _ in range(trials):
        made = endpoint.suggestions().create()
        endpoint.observations().create(
            suggestion=made.id, values=[{"name": "m", "value": made.assignments["x"]}]
        )
    return int(endpoint.fetch().progress.observation_count)


@contextlib.contextmanager
def dribbling(url: str, count: int, first: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that send something and then a byte now and then."""
    connections = []
    stop = threading.Event()

    def dribble() -> None:
        while not stop.wait(0.05):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"a")

    thread = threading.Thread(target=dribble, daemon=True)
    try:
        for _ in range(count):
            connection = open_socket(url)
            connections.append(connection)
            connection.sendall(first)
        thread.start()
        yield connections
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"GET /v1/experiments HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"POST /v1/experiments HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    ],
    ids=["line", "header", "body"],
)
def test_200_that_dribble(driver: EmbeddedDriver, first: bytes) -> None:
    # Long enough for a client on a busy machine, which is measured by the same limits.
    options = dataclasses.replace(FREE, head_seconds=5.0, body_seconds=5.0)
    with (
        serve_in_thread(driver, options=options) as (url, token),
        dribbling(url, 200, first) as connections,
    ):
        assert tune(url, token, 10) == 10
        assert all(closed_by_peer(connection) for connection in connections), "each is ended"


def test_200_that_send_bodies_slowly_with_a_token(driver: EmbeddedDriver) -> None:
    """As many as that would fill every place there is, if a slow body took one."""
    options = dataclasses.replace(FREE, concurrency=4, body_seconds=60.0)
    with serve_in_thread(driver, options=options) as (url, token):
        first = (
            "POST /v1/experiments HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n"
            f"{authorization(token)}\r\n"
        ).encode()
        with dribbling(url, 200, first):
            assert tune(url, token, 10) == 10


def test_more_connections_than_there_are(driver: EmbeddedDriver) -> None:
    """The one that has been silent for longest makes room for the next."""
    options = dataclasses.replace(FREE, max_connections=20, head_seconds=600.0)
    with serve_in_thread(driver, options=options) as (url, token), contextlib.ExitStack() as stack:
        silent = [stack.enter_context(open_socket(url)) for _ in range(60)]
        assert tune(url, token, 5) == 5
        for connection in silent[:40]:
            assert closed_by_peer(connection)


def test_silence_ends_the_connection(driver: EmbeddedDriver) -> None:
    options = dataclasses.replace(FREE, head_seconds=2.0)
    with serve_in_thread(driver, options=options) as (url, _), open_socket(url) as connection:
        assert read_all(connection) == b""
        with open_socket(url) as started:
            started.sendall(b"GET / HTTP/1.1\r\nHo")
            assert status_of(read_all(started)) == 408


def test_an_idle_connection_may_stay_but_not_dribble(driver: EmbeddedDriver) -> None:
    options = dataclasses.replace(FREE, head_seconds=2.0)
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    with serve_in_thread(driver, options=options) as (url, _), open_socket(url) as connection:
        connection.sendall(request)
        assert status_of(read_until(connection, b'{"status":"ok"}')) == 200
        threading.Event().wait(3.0)
        connection.sendall(request)
        alive = read_until(connection, b'{"status":"ok"}')
        assert status_of(alive) == 200, "idle for longer, and alive"
        connection.sendall(request[:10])
        assert status_of(read_all(connection)) == 408


def test_idle_connections_end_at_last(driver: EmbeddedDriver) -> None:
    options = dataclasses.replace(FREE, keep_alive_seconds=1.0)
    with serve_in_thread(driver, options=options) as (url, _), open_socket(url) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status_of(read_all(connection)) == 200


def test_clients_that_vanish(driver: EmbeddedDriver) -> None:
    """Gone before the request, in its middle, and before the answer."""
    with serve_in_thread(driver, options=FREE) as (url, token):
        whole = f"GET /v1/experiments HTTP/1.1\r\nHost: a\r\n{authorization(token)}\r\n".encode()
        body = f"POST /v1/experiments HTTP/1.1\r\nHost: a\r\n{authorization(token)}"
        for data in (b"", whole[:20], whole, f"{body}Content-Length: 50\r\n\r\n{{".encode()):
            for _ in range(10):
                connection = open_socket(url)
                connection.sendall(data)
                # Closed with a reset, not politely.
                linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()
        assert tune(url, token, 3) == 3


class _Connection:
    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_connections_are_counted_per_address_but_not_on_loopback() -> None:
    connections = OpenConnections(
        dataclasses.replace(FREE, connections_per_peer=2, max_connections=100)
    )

    def enter(peer: str) -> tuple[bool, Any]:
        made: Any = _Connection(peer)
        return connections.enter(made, peer), made

    for peer in ("192.0.2.1", "2001:db8::1"):
        kept = [enter(peer) for _ in range(2)]
        assert [entered for entered, _ in kept] == [True, True]
        assert not enter(peer)[0]
        connections.leave(kept[0][1])
        assert enter(peer)[0]
    assert all(enter(peer)[0] for peer in ("127.0.0.1", "::1", "127.8.8.8") for _ in range(10))


def test_busy_connections_do_not_give_way() -> None:
    connections = OpenConnections(dataclasses.replace(FREE, max_connections=2))
    first, second, third = (_Connection("127.0.0.1") for _ in range(3))
    everything: Any = connections
    assert everything.enter(first, "127.0.0.1")
    assert everything.enter(second, "127.0.0.1")
    everything.waits(first, False)
    everything.waits(second, False)
    assert not everything.enter(third, "127.0.0.1"), "both are at work"
    everything.waits(second, True)
    assert everything.enter(third, "127.0.0.1")
    assert (first.dropped, second.dropped) == (False, True)


def test_health_answers_while_the_engine_works(driver: EmbeddedDriver) -> None:
    class Stuck:
        sampler_seconds = 0.0
        entered = threading.Event()
        go_on = threading.Event()

        def check(self) -> None:
            """It has no store."""

        def answer(self, method: str, path: Any, data: Any) -> dict[str, Any]:
            self.entered.set()
            self.go_on.wait(60)
            return {}

    engine: Any = Stuck()
    with serve_in_thread(engine, options=FREE) as (url, token):
        thread = threading.Thread(
            target=requests.get,
            args=(f"{url}/v1/experiments",),
            kwargs={"auth": (token, ""), "timeout": 60},
        )
        thread.start()
        assert engine.entered.wait(30)
        assert requests.get(f"{url}/health", timeout=30).json() == {"status": "ok"}
        engine.go_on.set()
        thread.join()
