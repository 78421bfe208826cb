"""HTTP answers that end: within a time and a size, whatever the server sends.

``requests`` waits for each piece of an answer anew, and takes as many as come, also while it reads
the head or the sizes of chunks. So the stream below it is bounded, by which all of them are read.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import zlib
from collections.abc import Iterable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from nc_sigopt_strategy.client.json_answer import without_surprises
from nc_sigopt_strategy.client.sigopt_client import HttpPool, HttpsPool

# A page of a thousand observations with a hundred parameters is a tenth of it.
MOST_BYTES = 64 * 1024 * 1024
# A whole answer may take so many times as long as a piece of it.
PIECES_PER_ANSWER = 4
_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW = 31


class RefusedAnswer(OSError):
    """An answer that is not read to its end; the text says why, of "the answer ..."."""


class BoundedSession(requests.Session):
    """A session whose answers have a largest size and a longest time.

    Answers may be compressed by gzip and by nothing else, and are bounded also as what they
    become. Text is UTF-8, as JSON is: it is not guessed at, which takes minutes for a large one.
    Cookies are not kept.
    """

    def __init__(self) -> None:
        super().__init__()
        adapter = _BoundedAdapter()
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        self.headers["Accept-Encoding"] = "gzip"


class _BoundedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call, unused-ignore]
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        try:
            content = _whole(response.raw)
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error, request=request) from error
        except (HTTPError, http.client.HTTPException, OSError) as error:
            raise requests.ConnectionError(error, request=request) from error
        try:
            content = without_surprises(content, response.status_code)
        except ValueError as error:
            raise requests.ConnectionError(RefusedAnswer(str(error)), request=request) from None
        response.headers.pop("Content-Encoding", None)
        response.encoding = "utf-8"
        response.raw = io.BytesIO(content)
        return response


def _whole(raw: Any) -> bytes:
    """The body of an answer, from urllib3's.

    Raises:
        RefusedAnswer: It is larger than allowed, or compressed in another way than it may be.
        urllib3.exceptions.HTTPError: It does not arrive.
    """
    try:
        told = raw.headers.get("Content-Length", "")
        if told.isascii() and told.isdigit() and int(told[:20]) > MOST_BYTES:
            raise _too_large()
        content = _plain(
            raw.stream(_PIECE_BYTES, decode_content=False),
            raw.headers.get("Content-Encoding", "").strip().lower(),
        )
    except BaseException:
        raw.close()
        raise
    finally:
        raw.release_conn()
    return content


def _plain(pieces: Iterable[bytes], encoding: str) -> bytes:
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise RefusedAnswer(f"is compressed by {encoding[:40]!r}, which was not asked for")
    inflater = None if encoding in ("", "identity") else zlib.decompressobj(_GZIP_WINDOW)
    content = bytearray()
    for piece in pieces:
        if inflater is None:
            content += piece
        else:
            try:
                content += inflater.decompress(piece, MOST_BYTES + 1 - len(content))
            except zlib.error:
                raise RefusedAnswer("is not compressed as it says") from None
        if len(content) > MOST_BYTES:
            raise _too_large()
    if inflater is not None and not inflater.eof:
        raise RefusedAnswer("ends in the middle")
    return bytes(content)


def _too_large() -> RefusedAnswer:
    return RefusedAnswer(f"is larger than {MOST_BYTES // 1024**2} MiB")


class _BoundedStream(io.RawIOBase):
    """What comes from a socket, for a time and up to a size.

    Args:
        connection: Its time-out is how long each piece may take.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._inner: Any = connection.makefile("rb", buffering=0)
        self._patience = connection.gettimeout()
        self._left = MOST_BYTES
        self._deadline = None
        if self._patience is not None:
            self._seconds = PIECES_PER_ANSWER * self._patience
            self._deadline = time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._deadline is not None and self._patience is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise RefusedAnswer(f"was not whole after {self._seconds:g} s")
            self._connection.settimeout(min(self._patience, left))
        try:
            count: int = self._inner.readinto(buffer)
        finally:
            if self._patience is not None:
                # The next request is sent by the same connection.
                self._connection.settimeout(self._patience)
        self._left -= count
        if self._left < 0:
            raise _too_large()
        return count

    def close(self) -> None:
        self._inner.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        unbounded, self.fp = self.fp, io.BufferedReader(_BoundedStream(sock))
        unbounded.close()


class _HttpPool(HttpPool):  # type: ignore[misc]  # the client ships no types
    class ConnectionCls(HttpPool.ConnectionCls):  # type: ignore[misc]
        response_class = _BoundedResponse


class _HttpsPool(HttpsPool):  # type: ignore[misc]  # the client ships no types
    class ConnectionCls(HttpsPool.ConnectionCls):  # type: ignore[misc]
        response_class = _BoundedResponse


_POOLS = {"http": _HttpPool, "https": _HttpsPool}
