"""The page of a run on this machine's loopback, for the browser of whoever started it.

``python -m nc_sigopt_strategy.reports.page_server FOLDER``

A process of its own, so that what a browser asks takes no time from the process that times
models. It prints the page's address and ends with its standard input: with the process that
started it, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.reports.run_page import PAGE_FILE

# A browser that follows a page asks every two seconds; after the run it may come once more.
LINGER_SECONDS = 2.5
_WATCHED_SECONDS = 5.0
# A connection that says nothing for so long is closed.
_IDLE_SECONDS = 10.0
_PARENT_SECONDS = 1.0
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    # Nothing from elsewhere, and no page of elsewhere around it.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src "
    "'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_WAITING = (
    '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    "<title>being tuned</title><style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,"
    "sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>"
    "<p>The run has begun: FP32 is evaluated and timed. Its page comes by itself.</p>"
)


@dataclass(frozen=True)
class Page:
    """A page as it is now.

    Attributes:
        content: HTML.
        version: Differs between two contents; without quotation marks.
    """

    content: bytes
    version: str


Read = Callable[[], Page | None]


def newest_page(folder: Path) -> Page | None:
    """The page of a run folder, else the newest of those of the runtimes in it, if there is one.

    Args:
        folder: Run folder; where several runtimes are tuned, each has a folder in it.
    """
    whole = folder / PAGE_FILE
    for path in (whole, *sorted(folder.glob(f"*/{PAGE_FILE}"), key=_changed, reverse=True)):
        # One that is replaced at this moment is there again at the next.
        with contextlib.suppress(OSError), path.open("rb") as stream:
            stat = os.fstat(stream.fileno())
            return Page(stream.read(), f"{stat.st_mtime_ns:x}-{stat.st_ino:x}")
    return None


class PageServer:
    """Serves one page and nothing else, on a free port of the loopback; a context manager.

    Its address holds a word that nobody can guess, so that other users of the machine do not see
    the page, and requests must name this machine as their host, so that no page of elsewhere
    reads it through a name of its own.

    Args:
        read: Gives the page as it is now; ``None`` while there is none.

    Attributes:
        url: Address of the page.
    """

    def __init__(self, read: Read) -> None:
        self._server = _Server(read)
        self.url = f"http://{self._server.hosts[0]}{self._server.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def linger(self) -> None:
        """Wait until browsers that follow the page have had its last state."""
        asked = self._server.asked
        if asked is not None and time.monotonic() - asked < _WATCHED_SECONDS:
            time.sleep(LINGER_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, read: Read) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.read = read
        self.path = f"/{secrets.token_urlsafe(16)}/"
        port = self.server_address[1]
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.asked: float | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error, and there is nobody to tell of another."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def version_string(self) -> str:
        return "nc-sigopt"

    def log_message(self, format: str, *args: Any) -> None:
        """The run's own screen is not for requests."""

    def _answer(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self._send(HTTPStatus.FORBIDDEN, b"This page is for this machine.\n")
            return
        path = self.path.partition("?")[0]
        if not secrets.compare_digest(path.encode(), self.server.path.encode()):
            self._send(HTTPStatus.NOT_FOUND, b"Only the page is served.\n")
            return
        self.server.asked = time.monotonic()
        page = self.server.read()
        if page is None:
            self._send(HTTPStatus.OK, _WAITING.encode(), **_HEADERS)
            return
        tag = f'"{page.version}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", **_HEADERS, ETag=tag)
        else:
            self._send(HTTPStatus.OK, page.content, **_HEADERS, ETag=tag)

    def _send(self, status: HTTPStatus, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "text/plain"}).items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def main(arguments: list[str]) -> None:
    """Serve the page of the folder that is the only argument until standard input ends."""
    # Ctrl-C is for the run, which ends in order and writes its last page.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    # What the run is worth is worth more than a page that comes at once.
    os.nice(19)
    folder = Path(arguments[0])
    with PageServer(lambda: newest_page(folder)) as server:
        print(server.url, flush=True)
        while os.getppid() == parent:
            if select.select([sys.stdin], [], [], _PARENT_SECONDS)[0]:
                break
        server.linger()


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


if __name__ == "__main__":
    main(sys.argv[1:])
