"""An ``EmbeddedDriver`` behind a real socket, for testing the client's HTTP driver."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from nc_sigopt_strategy.embedded import EmbeddedDriver
from nc_sigopt_strategy.embedded.api_error import ApiError

API_PREFIX = "/v1/"


@contextlib.contextmanager
def serve_driver(
    driver: EmbeddedDriver,
    token: str = "embedded",
    *,
    fail_with: int | None = None,
    html: bool = False,
) -> Iterator[str]:
    """Serve a driver on a free port of this machine until the block ends.

    Args:
        driver: Who answers.
        token: The only token that is let in.
        fail_with: Answer every request with this status.
        html: Answer every request with status 200 and a web page.

    Yields:
        The URL to give the client as ``api_url``.
    """

    class Handler(_Handler):
        pass

    Handler.driver, Handler.token = driver, token
    Handler.fail_with, Handler.html = fail_with, html
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it the client waits for 40 ms of TCP's delayed acknowledgement at each answer.
    disable_nagle_algorithm = True
    # A client that keeps its connection open must not keep the server from ending.
    timeout = 5

    driver: EmbeddedDriver
    token: str
    fail_with: int | None
    html: bool

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.html:
            self._send(200, b"<html><body>Welcome</body></html>", "text/html")
            return
        try:
            status, document = 200, self._document(body)
        except ApiError as error:
            status, document = error.status, error.body()
        self._send(status, json.dumps(document).encode(), "application/json")

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _document(self, body: bytes) -> dict[str, Any]:
        if self.fail_with is not None:
            raise ApiError(self.fail_with, f"made to fail with {self.fail_with}")
        url = urlsplit(self.path)
        if not url.path.startswith(API_PREFIX):
            raise ApiError(404, f"no such path {url.path}")
        self._authorize()
        data = dict(parse_qsl(url.query))
        if self.command in ("POST", "PUT"):
            data = _parse(body)
        path = [unquote(part) for part in url.path[len(API_PREFIX) :].split("/")]
        return self.driver.answer(self.command, path, data)

    def _authorize(self) -> None:
        header = self.headers.get("Authorization")
        if header is None:
            raise ApiError(401, "No token")
        if header != "Basic " + base64.b64encode(f"{self.token}:".encode()).decode():
            raise ApiError(403, "Unknown token")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return json.loads(body, object_pairs_hook=_distinct)
    except ValueError as error:
        raise ApiError(400, f"Not JSON: {error}") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ApiError(400, "Duplicate keys")
    return found
