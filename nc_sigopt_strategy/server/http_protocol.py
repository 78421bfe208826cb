"""uvicorn's HTTP protocol, made to outlive clients that are slow on purpose."""

from __future__ import annotations

import asyncio
import http
import json
import sys
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.settings.address import is_loopback

# After a close, how long a client may take to fetch what was already written.
_LINGER_SECONDS = 10.0
_GOODBYE_SECONDS = 1.0


class OpenConnections:
    """The open connections of a server: how many, whose, and whose client is to send something.

    Args:
        options: Limits.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._per_peer: Counter[str] = Counter()
        self._open: set[GuardedProtocol] = set()
        # In the order in which they began to wait for their client; the values mean nothing.
        self._waiting: dict[GuardedProtocol, None] = {}

    def enter(self, connection: GuardedProtocol, peer: str) -> bool:
        """Count a new connection.

        Returns:
            False if it cannot be kept: its address has too many, or all there are are at work.
        """
        limited = not is_loopback(peer)
        if limited and self._per_peer[peer] >= self.options.connections_per_peer:
            return False
        if len(self._open) >= self.options.max_connections:
            if not self._waiting:
                return False
            longest = next(iter(self._waiting))
            self.leave(longest)
            longest.drop()
        self._open.add(connection)
        self._per_peer[peer] += 1
        self._waiting[connection] = None
        return True

    def waits(self, connection: GuardedProtocol, waiting: bool) -> None:
        """Note whether a connection waits for its client to send something."""
        if not waiting:
            self._waiting.pop(connection, None)
        elif connection in self._open:
            self._waiting.setdefault(connection)

    def leave(self, connection: GuardedProtocol) -> None:
        """Forget a connection."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._open.remove(connection)
            self._per_peer[connection.peer] -= 1
            if not self._per_peer[connection.peer]:
                del self._per_peer[connection.peer]


class GuardedProtocol(H11Protocol):
    """Closes connections whose request's head does not arrive, and answers nobody reads.

    uvicorn times idle connections only between requests. Here the head of a request must be
    complete within ``head_seconds`` of its first byte, the first one within that time of the
    connection itself.
    """

    guard: OpenConnections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = ""
        self._owed: Any = h11.IDLE
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if isinstance(address, tuple) else ""
        if not self.guard.enter(self, self.peer):
            # Not even counted as one of uvicorn's: nothing was read, nothing is answered.
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.guard.leave(self)
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """A request was answered."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.drop()
        else:
            self._watch()

    def _watch(self) -> None:
        """See what the client owes: a request, the rest of a head, the rest of a body."""
        state = self.conn.their_state
        if state is not self._owed:
            self._owed = state
            self.guard.waits(self, False)
            self.guard.waits(self, state in (h11.IDLE, h11.SEND_BODY))
        answered = self.cycle is not None and self.cycle.response_complete
        late = (state is h11.IDLE and bool(self.conn.trailing_data[0])) or (
            # The rest of a body that nobody reads any more.
            state is h11.SEND_BODY and answered
        )
        if not late:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(
            self.guard.options.head_seconds, self._head_too_slow
        )

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._send_error(408, "The request did not arrive in time")
        self.drop()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP. Called while h11's error is being handled."""
        error = sys.exc_info()[1]
        status = getattr(error, "error_status_hint", 400)
        text = msg if status == 400 else f"{msg.rstrip('.')}: {error}"
        self._send_error(status, text)
        self.drop()

    def _send_error(self, status: int, message: str) -> None:
        body = json.dumps({"message": message, "status": status}).encode("ascii")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        try:
            reason = http.HTTPStatus(status).phrase.encode("ascii")
            response = h11.Response(status_code=status, headers=headers, reason=reason)
            output = self.conn.send(response)
            output = (output or b"") + (self.conn.send(h11.Data(data=body)) or b"")
            output += self.conn.send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:
            return  # An answer is under way already.
        self.transport.write(output)

    def timeout_keep_alive_handler(self) -> None:
        """The connection has been idle for too long."""
        super().timeout_keep_alive_handler()
        self.drop()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        if self.transport.is_closing():
            # Over TLS asyncio would wait for half a minute for an idle client's goodbye.
            self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read its answer as fast as it is written."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(
                self.guard.options.answer_seconds, self.transport.abort
            )

    def resume_writing(self) -> None:
        """The client has read most of what was written."""
        super().resume_writing()
        self._stop_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def drop(self) -> None:
        """Close the connection; what was written may still be fetched for a moment."""
        self.transport.close()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)


def guarded(options: ServerOptions) -> type[GuardedProtocol]:
    """A protocol class whose connections are counted together."""

    class Protocol(GuardedProtocol):
        guard = OpenConnections(options)

    return Protocol
