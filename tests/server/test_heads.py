"""Heads that a proxy may read otherwise, and characters that no log shall show."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from nc_sigopt_strategy.errors import StoreError
from nc_sigopt_strategy.server.log_lines import LineFormatter, path_for_log
from tests.server.serving import serve_in_thread
from tests.server.sockets import authorization, send, status_of

HIDDEN = b"GET /v1/tokens/self HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", b"not both"),
        ("transfer-encoding: chunked\r\ncontent-length: 0", b"not both"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b""),
        ("Transfer-Encoding: identity", b""),
        ("Content-Length: 5\r\nContent-Length: 6", b""),
        ("Content-Length: +5", b""),
        ("Authorization: Basic eDo=", b"authorization is there 2 times"),
        ("Host: b", b""),
        ("X-Response-Content: skip\r\nX-Response-Content: full", b"x-response-content"),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("path", ["/v1/experiments", "/health"])
def test_a_head_with_two_meanings_is_refused_and_nothing_after_it_is_read(
    shared: tuple[str, str], lines: str, said: bytes, path: str
) -> None:
    url, token = shared
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{authorization(token)}{lines}\r\n\r\n"
    answer = send(url, head.encode() + b"0\r\n\r\n" + HIDDEN)
    assert status_of(answer) in (400, 501), answer
    assert said in answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


def test_http_1_0_has_no_chunks(shared: tuple[str, str]) -> None:
    url, token = shared
    head = f"POST /v1/experiments HTTP/1.0\r\n{authorization(token)}Transfer-Encoding: chunked"
    answer = send(url, f"{head}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
    assert status_of(answer) == 400
    assert b"HTTP/1.0 has no" in answer


class _Failing:
    sampler_seconds = 0.0

    def __init__(self, error: Exception) -> None:
        self._error = error

    def check(self) -> None:
        """It has no store."""

    def answer(self, method: str, path: list[str], data: Any) -> dict[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        StoreError("\x1b[2J The disk \u202e is full."),
        ValueError("first\n2030-01-01 00:00:00,000 INFO GET /v1/forged 200\x1b[31m\x9b"),
    ],
)
def test_what_clients_send_reaches_the_log_visibly(error: Exception) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("nc_sigopt_strategy.server.api")
    logger.addHandler(handler)
    try:
        engine: Any = _Failing(error)
        with serve_in_thread(engine, "the-token") as (url, token):
            target = "/v1/clients/1/projects/%1b%5b31m%0aFORGED%c2%9b"
            head = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            assert status_of(send(url, f"{head}{authorization(token)}\r\n".encode())) == 500
    finally:
        logger.removeHandler(handler)
    text = written.getvalue()
    assert "%1b%5b31m" in text
    assert "x1b[" in text
    assert text.replace("\n", "").isprintable()
    lines = text.splitlines()
    assert "%1b" in lines[0]
    assert all(line.startswith("  | ") for line in lines[1:]), text


def test_a_path_for_the_log_is_ascii_and_short() -> None:
    assert path_for_log({"path": "/\x1b\n\u202e", "raw_path": b""}) == "/\x1b\n\\u202e"
    assert path_for_log({"path": "", "raw_path": b"/a?token=b"}) == "/a"
    assert len(path_for_log({"path": "", "raw_path": b"/" * 5000})) == 300


def test_raw_control_characters_are_no_path(shared: tuple[str, str]) -> None:
    for character in (b"\x1b", b"\x00", b"\x7f", b"\x9b", b"\x0b"):
        answer = send(shared[0], b"GET /v1/" + character + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert status_of(answer) == 400
        assert character not in answer
