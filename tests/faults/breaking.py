"""The sockets of a ``BrokenServer``: requests in, whole or broken answers out."""

from __future__ import annotations

import http.client
import json
import select
import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.faults.faults import Fault, Request, Rule

Answer = tuple[int, dict[str, str], bytes]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_PAGE = b"<html><body><h1>Welcome to the hotel's network</h1></body></html>"
_UPSTREAM_SECONDS = 60.0


class Owner(Protocol):
    """What a listener asks about the requests that come in."""

    url: str
    upstream: tuple[str, int]

    def rule_for(self, method: str, path: str) -> Rule | None:
        """How a request is to break."""

    def note(self, request: Request) -> None:
        """Remember a request."""

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection."""

    def ended(self, connection: socket.socket) -> None:
        """Forget a connection."""

    @property
    def is_closed(self) -> bool:
        """Whether all is over."""


class Listener(ThreadingHTTPServer):
    """Takes connections for a ``BrokenServer``."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], owner: Owner) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

    def shutdown_request(self, request: Any) -> None:
        # Without the orderly shutdown of the standard library, which would hide a reset.
        self.owner.ended(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it the client waits for TCP's delayed acknowledgement at each answer.
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        super().setup()
        self.server.owner.opened(self.connection)

    def _serve(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        rule = owner.rule_for(self.command, path)
        answer: Answer | None = None
        if rule is None or rule.stored:
            try:
                sent = {**_forwarded(dict(self.headers)), "Host": "upstream"}
                answer = _ask(owner.upstream, self.command, self.path, sent, body)
            except OSError:
                rule = Rule(Fault.BAD_GATEWAY, None, None, None, False, None)
        # Noted first: whoever has the answer may count at once.
        fault = None if rule is None else rule.fault
        status = answer[0] if rule is None and answer is not None else _status(fault)
        owner.note(
            Request(
                self.command, path, status, fault, answer is not None,
                "Authorization" in self.headers,
            )
        )  # fmt: skip
        if rule is not None:
            self._break(rule, answer)
        elif answer is not None:
            self._send(*answer)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def _break(self, rule: Rule, answer: Answer | None) -> None:
        fault = rule.fault
        whole = answer[2] if answer else b'{"object": "experiment", "id": "1"}'
        if fault is Fault.RESET:
            if answer is not None:
                self._send(200, {}, whole[: len(whole) // 2], length=len(whole))
            self._end(with_reset=True)
        elif fault is Fault.HANG:
            self._hang()
        elif fault is Fault.TRUNCATED:
            self._send(200, {}, whole[: len(whole) // 2], length=len(whole))
            self._end()
        elif fault is Fault.HTML:
            self._send(200, {"Content-Type": "text/html"}, _PAGE)
        elif fault is Fault.NO_ID:
            document = json.loads(whole)
            document.pop("id", None)
            self._send(200, {}, json.dumps(document).encode())
        elif fault is Fault.EMPTY:
            self._send(200, {}, b"")
        elif fault is Fault.NO_CONTENT:
            self._send(204, {}, b"", length=None)
        elif fault is Fault.REDIRECT:
            target = rule.location or f"{self.server.owner.url}/elsewhere"
            self._send(302, {"Location": target}, b"")
        else:
            said = {"message": f"broken with {fault.value}", "status": fault.value}
            self._send(int(fault.value), {}, json.dumps(said).encode())

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = -1
    ) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)

    def _end(self, *, with_reset: bool = False) -> None:
        self.close_connection = True
        if with_reset:
            _reset_when_closed(self.connection)

    def _hang(self) -> None:
        while not self.server.owner.is_closed:
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:  # the client has closed its end, or been cut off
                break
        self._end()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


def _reset_when_closed(connection: socket.socket) -> None:
    # Lingering for no time at all: what is unsent is dropped, and closing sends a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _status(fault: Fault | None) -> int | None:
    if fault in (Fault.RESET, Fault.HANG, None):
        return None
    return fault.value if isinstance(fault.value, int) else 200


def _ask(
    upstream: tuple[str, int], method: str, target: str, headers: dict[str, str], body: bytes
) -> Answer:
    connection = http.client.HTTPConnection(*upstream, timeout=_UPSTREAM_SECONDS)
    try:
        connection.request(method, target, body or None, headers)
        answer = connection.getresponse()
        return answer.status, _forwarded(dict(answer.getheaders())), answer.read()
    finally:
        connection.close()


def _forwarded(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
