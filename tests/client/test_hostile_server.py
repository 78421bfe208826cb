"""A server that means harm: each attempt ends, soon and small, in one error without the token."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from nc_sigopt_strategy.client import bounded_http
from nc_sigopt_strategy.client.connections import open_http
from nc_sigopt_strategy.client.pages import all_pages
from nc_sigopt_strategy.client.server import open_server
from nc_sigopt_strategy.client.sigopt_client import SigOptException, quoted
from nc_sigopt_strategy.errors import ServerError
from nc_sigopt_strategy.settings.settings import Settings
from tests.faults.hostile_server import Script, answer, hostile

TOKEN = "SECRETSECRETSECRET0123456789"
MIB = 1024 * 1024
# Far beyond what a client may take, and an end for one that takes all the same.
_TOO_MANY = 4000
_PIECE = b"x" * 65536
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_GOOD = {"object": "token", "client": "1", "permissions": "write"}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """A small largest answer, so that tests need not send a real one."""
    monkeypatch.setattr(bounded_http, "MOST_BYTES", MIB)
    return MIB


def _refused(url: str, seconds: float = 60.0) -> str:
    settings = Settings.from_kwargs({"sigopt_api_url": url, "sigopt_timeout_seconds": seconds})
    with pytest.raises(ServerError) as caught:
        open_http(TOKEN, settings)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    message = str(caught.value)
    assert TOKEN not in message + repr(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    return message


def _then(head: bytes, pieces: Iterable[bytes]) -> Script:
    return lambda: itertools.chain([head], pieces)


def _endless(piece: bytes) -> Iterable[bytes]:
    return itertools.repeat(piece, _TOO_MANY)


ENDLESS = {
    "a body of 10 GB": _then(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", _endless(_PIECE)
    ),
    "a length of many digits": answer(b"{}", length=10**30),
    "a body without a length": _then(b"HTTP/1.1 200 OK\r\n\r\n", _endless(_PIECE)),
    "chunks": _then(_CHUNKED, _endless(b"10000\r\n" + _PIECE + b"\r\n")),
    "the size of a chunk": _then(_CHUNKED, _endless(b"0" * 65536)),
    "what follows the chunks": _then(_CHUNKED + b"0\r\n", _endless(b"a: b\r\n" * 10000)),
    "a line of the head": _then(b"HTTP/1.1 200 OK\r\na: ", _endless(_PIECE)),
    "lines of the head": _then(b"HTTP/1.1 200 OK\r\n", _endless(b"a: b\r\n" * 10000)),
    "status 100": _then(b"", _endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 3000)),
    "a refusal": _then(b"HTTP/1.1 400 No\r\n\r\n", _endless(_PIECE)),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_does_not_end_is_not_read(what: str, small: int) -> None:
    tracemalloc.start()
    try:
        with hostile(ENDLESS[what]) as server:
            message = _refused(server.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "not like a SigOpt server" in message or "cannot be reached" in message
    assert peak < 12 * small
    # What the sockets hold is taken, too.
    assert server.sent < 40 * small


def _bomb(times: int) -> bytes:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"0" * MIB
    return b"".join([*(squeezed.compress(zeros) for _ in range(times)), squeezed.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "gzip, gzip", "deflate", "br"])
def test_what_is_compressed_stays_small(encoding: str, small: int) -> None:
    body = _bomb(64)
    if encoding == "gzip, gzip":
        body = gzip.compress(body)
    tracemalloc.start()
    try:
        with hostile(answer(body, f"Content-Encoding: {encoding}")) as server:
            message = _refused(server.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "not like a SigOpt server" in message
    assert peak < 12 * small


def test_what_is_compressed_is_read() -> None:
    body = gzip.compress(json.dumps(_GOOD).encode())
    with hostile(answer(body, "Content-Encoding: gzip")) as server:
        settings = Settings.from_kwargs({"sigopt_api_url": server.url})
        found = open_server(TOKEN, settings, writes=False)
        assert found.connection.tokens("self").fetch().client == "1"


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"{}" * 500, mtime=0)[:-12], b""])
def test_what_says_that_it_is_compressed(body: bytes) -> None:
    with hostile(answer(body, "Content-Encoding: gzip")) as server:
        assert "not like a SigOpt server" in _refused(server.url)


def _dribbled(text: bytes, start: bytes = b"") -> Script:
    def script() -> Iterator[bytes]:
        yield start
        for byte in itertools.islice(itertools.cycle(text), 400):
            time.sleep(0.05)
            yield bytes([byte])

    return script


SLOW = {
    "status": _dribbled(b"0", b"HTTP/1.1 2"),
    "head": _dribbled(b"x", b"HTTP/1.1 200 OK\r\na: "),
    "body": _dribbled(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
    "chunks": _dribbled(b"1\r\nx\r\n", _CHUNKED),
    "size of a chunk": _dribbled(b"0", _CHUNKED),
    "status 100": _dribbled(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("what", SLOW)
def test_a_byte_now_and_then_is_not_waited_for(what: str) -> None:
    with hostile(SLOW[what]) as server:
        message = _refused(server.url, seconds=0.2)
        # All of it would take 20 s.
        assert server.sent < 200
    # On a busy machine a byte may be late by itself.
    assert "was not whole after 0.8 s" in message or "nothing came" in message


def _deep(levels: int) -> bytes:
    return b'{"object": "token", "client": "1", "a": ' + b"[" * levels + b"]" * levels + b"}"


NONSENSE = {
    "a list": b"[]",
    "a text": b'"token"',
    "a number": b"17",
    "nothing": b"null",
    "no bytes": b"",
    "a page": b"<html>hello</html>",
    "half": b'{"object": "tok',
    "deep": _deep(5000),
    "less deep": _deep(300),
    "deeper than the parser": b"[" * 200_000,
    "not a number": b'{"object": "token", "client": "1", "a": NaN}',
    "infinite": b'{"object": "token", "client": "1", "a": -Infinity}',
    "beyond floats": b'{"object": "token", "client": "1", "a": [1e999]}',
    "an integer beyond floats": b'{"object": "token", "client": ' + b"9" * 400 + b"}",
    "an integer beyond Python": b'{"object": "token", "client": ' + b"9" * 5000 + b"}",
    "not UTF-8": b'{"object": "token", "client": "\xff\xfe"}',
    "UTF-16": '{"object": "token", "client": "1"}'.encode("utf-16"),
    "another object": b'{"object": "experiment", "id": "1"}',
    "no object": b'{"client": "1"}',
    "an object of no text": b'{"object": {}, "client": "1"}',
    "a client of no text": b'{"object": "token", "client": ["1"]}',
    "rights of no text": b'{"object": "token", "client": "1", "permissions": []}',
    "no client": b'{"object": "token"}',
}


@pytest.mark.parametrize("status", [200, 206, 299, 400, 401, 404, 407, 500, 503])
def test_nonsense_is_said_in_one_line(status: int) -> None:
    for what, body in NONSENSE.items():
        with hostile(answer(body, status=status)) as server:
            message = _refused(server.url)
        if status < 300 and what != "no client":
            assert "not like a SigOpt server" in message, what


@pytest.mark.parametrize(
    "said", [f"\x1b]0;title\x07\x1b[2J \u202e {TOKEN}", "a" * 300_000, ["list"], {"a": 1}, 7, None]
)
def test_what_a_refusal_says_is_short_and_steers_no_terminal(said: Any) -> None:
    body = json.dumps({"message": said, "filler": "b" * 20_000}).encode()
    with hostile(answer(body, status=400)) as server:
        assert "(status 400" in _refused(server.url)


def test_the_token_goes_nowhere_else() -> None:
    with hostile(answer(json.dumps(_GOOD).encode())) as elsewhere:
        for status, place in itertools.product(
            (301, 302, 303, 307, 308),
            (
                elsewhere.url,
                "//" + elsewhere.url.partition("//")[2],
                "https://127.0.0.1:9",
                "\x1b",
            ),
        ):
            script = answer(b"{}", f"Location: {place}/v1/tokens/self", status=status)
            with hostile(script) as server:
                message = _refused(server.url)
            assert "redirects are not followed" in message
            assert len(server.heads) == 1
        assert elsewhere.heads == []


def test_cookies_are_not_kept() -> None:
    heads = ("Set-Cookie: a=b; Path=/", "Set-Cookie: c=d")
    with hostile(answer(json.dumps(_GOOD).encode(), *heads)) as server:
        found = open_server(
            TOKEN, Settings.from_kwargs({"sigopt_api_url": server.url}), writes=False
        )
        found.connection.tokens("self").fetch()
        assert len(server.heads) == 2
        assert not any(b"ookie" in head for head in server.heads)


def test_lists_that_do_not_end() -> None:
    """Each page leads to a next one: to itself, or on and on."""
    numbers = itertools.count(1)

    def script() -> Iterable[bytes]:
        number = next(numbers)
        if number == 1:
            return answer(json.dumps(_GOOD).encode())()
        entry = {"object": "observation", "id": str(number), "assignments": {"a": "b"}}
        page = {
            "object": "pagination", "count": count, "data": [entry],
            "paging": {"before": marker or str(number), "after": None},
        }  # fmt: skip
        return answer(json.dumps(page).encode())()

    said = ((20, None), (10**12, None), (100, "7"), (0, None), (-1, None))
    for count, marker in said:  # noqa: B007  # the script says them
        numbers = itertools.count(1)
        with hostile(script) as server:
            settings = Settings.from_kwargs({"sigopt_api_url": server.url})
            found = open_server(TOKEN, settings, writes=False).connection
            with pytest.raises(SigOptException):
                list(all_pages(found.experiments(7).observations().fetch()))
            assert len(server.heads) <= 23


def test_text_is_cut_where_no_secret_is() -> None:
    with hostile(answer(json.dumps(_GOOD).encode())) as server:
        settings = Settings.from_kwargs({"sigopt_api_url": server.url})
        connection = open_server(TOKEN, settings, writes=False).connection
    for filler in range(170, 205):
        assert TOKEN[:4] not in quoted(connection, "x" * filler + TOKEN)
