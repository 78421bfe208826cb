"""A server between a client and a real one, which breaks the answers it is told to break.

It speaks real TCP: a refused connection is a closed port, a reset is a TCP reset. What is not told
to break goes to the real server and back unchanged.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.faults.breaking import Listener
from tests.faults.faults import Fault, Request, Rule

__all__ = ["BrokenServer", "Fault", "Request"]

HOST = "127.0.0.1"


class BrokenServer:
    """Passes requests on to a real server, except for those that it is told to break.

    Use it as a context manager. Its methods may be called from any thread.

    Args:
        upstream_url: The real server.

    Attributes:
        url: Where it listens, the same also after it refused connections.
    """

    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        self.upstream = (str(upstream.hostname), upstream.port or 80)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._requests: list[Request] = []
        self._connections: set[socket.socket] = set()
        self._closed = threading.Event()
        self._placeholder: socket.socket | None = None
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self._listen()
        self.url = f"http://{HOST}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in the order in which their answers ended."""
        with self._lock:
            return list(self._requests)

    def count(self, method: str, path: str) -> int:
        """How many such requests the real server has answered.

        Args:
            method: HTTP verb.
            path: Regular expression that is searched for in the path.
        """
        return sum(
            request.passed and request.method == method and bool(re.search(path, request.path))
            for request in self.requests
        )

    def break_with(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str | None = None,
        count: int | None = None,
        stored: bool = False,
        location: str | None = None,
    ) -> None:
        """Break requests from now on. Of several rules the first that fits counts.

        Args:
            fault: How. ``REFUSE`` concerns every connection and takes none of the rest.
            method: Only requests with this verb.
            path: Only those in whose path this regular expression is found.
            count: How many; default: until ``mend``.
            stored: Whether the real server does its part before its answer is broken.
            location: Where ``REDIRECT`` leads; default: another path of this server.
        """
        if fault is Fault.REFUSE:
            if (method, path, count, stored) != (None, None, None, False):
                raise ValueError("A closed port does not know which request it refuses")
            self._close_port()
            return
        pattern = None if path is None else re.compile(path)
        with self._lock:
            self._rules.append(Rule(fault, method, pattern, count, stored, location))

    def mend(self) -> None:
        """Break nothing any more; requests that hang go on hanging."""
        with self._lock:
            self._rules.clear()
        if self._listener is None:
            self._listen()

    @contextlib.contextmanager
    def broken(self, fault: Fault, **which: Any) -> Iterator[None]:
        """``break_with`` until the block ends."""
        self.break_with(fault, **which)
        try:
            yield
        finally:
            self.mend()

    def close(self) -> None:
        """End it."""
        self._closed.set()
        self._close_port()
        if self._placeholder is not None:
            self._placeholder.close()

    def __enter__(self) -> BrokenServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None
        self._listener = Listener((HOST, self._port), self)
        self._port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def _close_port(self) -> None:
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._listener = None
        # Bound, but not listening: connections are refused, and nobody else gets the port.
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind((HOST, self._port))
        with self._lock:
            open_now = list(self._connections)
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # also wakes up the thread that reads

    def rule_for(self, method: str, path: str) -> Rule | None:
        """For the listener: how a request is to break."""
        with self._lock:
            return next((rule for rule in self._rules if rule.takes(method, path)), None)

    def note(self, request: Request) -> None:
        """For the listener: remember a request."""
        with self._lock:
            self._requests.append(request)

    def opened(self, connection: socket.socket) -> None:
        """For the listener: remember a connection."""
        with self._lock:
            self._connections.add(connection)

    def ended(self, connection: socket.socket) -> None:
        """For the listener: forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    @property
    def is_closed(self) -> bool:
        """For the listener: whether all is over."""
        return self._closed.is_set()
