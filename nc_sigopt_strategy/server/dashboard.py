"""What ``nc-sigopt dashboard`` does: optuna-dashboard on the store of the experiments."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import optuna_dashboard

from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.opening import open_storage
from nc_sigopt_strategy.engine.readable_storage import ReadableStorage
from nc_sigopt_strategy.server.addresses import listening_socket, url_host
from nc_sigopt_strategy.settings.address import is_loopback

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_READING = ("GET", "HEAD", "OPTIONS")
# No page elsewhere may show the dashboard in a frame and have its buttons pressed, embed what it
# answers, or learn from a link where it is.
_HEADERS = [
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]


def run_dashboard(
    storage_url: str,
    host: str,
    port: int,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Serve the dashboard until SIGTERM or SIGINT.

    Args:
        storage_url: Database URL of the store.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        say: Prints a line to standard output.
        warn: Prints a line to standard error.

    Raises:
        StoreError: The store cannot be used.
        SettingsError: The address cannot be used.
    """
    location = Location(storage_url)
    storage = open_storage(location, ReadableStorage)
    try:
        listener = listening_socket(host, port)
        address = f"http://{url_host(host)}:{listener.getsockname()[1]}"
        app = _own_pages_only(optuna_dashboard.wsgi(storage))
        if is_loopback(host):
            app = _local_only(app)
        else:
            warn(
                f"nc-sigopt: warning: the dashboard at {address} has no login and no TLS: "
                "whoever reaches it can see, change and delete the studies of the store."
            )
        server = _DashboardServer(listener)
        server.set_app(app)
        before = [
            (number, signal.signal(number, _stop)) for number in (signal.SIGTERM, signal.SIGINT)
        ]
        try:
            say(f"Dashboard {address} (storage {location.display})")
            server.serve_forever()
        except _Stopped:
            pass
        finally:
            for number, handler in before:
                signal.signal(number, handler)
            server.server_close()
    finally:
        storage.remove_session()
        storage.engine.dispose()


class _Stopped(BaseException):
    """SIGTERM or SIGINT arrived."""


def _stop(number: int, frame: object) -> None:
    raise _Stopped


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """The dashboard asks for news every few seconds; nobody wants to read that."""


class _DashboardServer(ThreadingMixIn, WSGIServer):
    # A browser that holds a connection open must not keep the command from ending.
    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Quiet, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        host, self.server_port = listener.getsockname()[:2]
        self.server_name = str(host)
        self.setup_environ()


def _local_only(app: _Wsgi) -> _Wsgi:
    """Refuse requests whose host is not this machine.

    A web page elsewhere could point a name of its own at 127.0.0.1 and then, as that name, read
    and change everything here through the user's browser.
    """

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if is_loopback(name):
            return app(environ, start_response)
        return _forbidden(start_response, "The dashboard answers to localhost only.")

    return checked


def _own_pages_only(app: _Wsgi) -> _Wsgi:
    """Refuse changes that a page from elsewhere asks for, and being shown by one.

    There is no login, so any page that the user's browser has open could send a form or a text
    here. A browser names the page's origin with every such request; other programs name none.
    """

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def guarded(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            # It has a policy of its own, and of two both hold.
            return start_response(status, headers + _HEADERS, *error)

        if environ["REQUEST_METHOD"] not in _READING and not _is_own(environ):
            return _forbidden(guarded, "The dashboard is changed from its own pages only.")
        return app(environ, guarded)

    return checked


def _is_own(environ: dict[str, Any]) -> bool:
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
        return False
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return True
    try:
        place = urlsplit(str(origin)).netloc.lower()
    except ValueError:
        return False
    return place != "" and place == str(environ.get("HTTP_HOST", "")).lower()


def _forbidden(start_response: Callable[..., Any], why: str) -> Iterable[bytes]:
    start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{why}\n".encode()]
