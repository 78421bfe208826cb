"""What can stand on the way to a server: a proxy, and a front that speaks TLS."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HOST = "127.0.0.1"


@dataclass
class Proxy:
    """An HTTP proxy that is running.

    Attributes:
        url: Its URL, without user and password.
        asked: First lines of the requests it got.
        refused: How many it refused for their password.
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)
    refused: int = 0


@contextlib.contextmanager
def proxy(upstream_url: str, *, login: str | None = None) -> Iterator[Proxy]:
    """A proxy that takes every request to one server, whatever host it is for.

    Args:
        upstream_url: That server.
        login: ``user:password`` that it wants.
    """
    made = Proxy()
    wanted = None if login is None else base64.b64encode(login.encode()).decode()

    def serve(client: socket.socket) -> None:
        head = _head(client)
        lines = head.decode("latin-1").split("\r\n")
        made.asked.append(lines[0])
        if wanted is not None and f"Proxy-Authorization: Basic {wanted}" not in lines:
            made.refused += 1
            client.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )
            return
        with _connect(upstream_url) as server:
            if lines[0].startswith("CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                verb, url, version = lines[0].split(" ")
                path = "/" + url.split("/", 3)[3]
                lines[0] = f"{verb} {path} {version}"
                # One request per connection, so that each is seen here.
                lines.insert(1, "Connection: close")
                server.sendall("\r\n".join(x for x in lines if x != "Connection: keep-alive")
                               .encode("latin-1"))  # fmt: skip
            _pipe(client, server)

    with _listening(serve) as made.url:
        yield made


@contextlib.contextmanager
def tls_front(upstream_url: str, context: ssl.SSLContext) -> Iterator[str]:
    """A server that speaks TLS and passes what it hears to a plain one.

    Args:
        upstream_url: The plain one.
        context: Certificate of this side, and what it wants of the other.

    Yields:
        Its URL, by name.
    """

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as inner:
            try:
                inner.do_handshake()
            except ssl.SSLError:
                _hear_out(inner)
                return
            with _connect(upstream_url) as server:
                _pipe(inner, server)

    with _listening(serve) as url:
        yield f"https://localhost:{urlsplit(url).port}"


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word; yields its URL."""
    with socket.create_server((HOST, 0)) as listener:
        yield f"http://{HOST}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    def run(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            serve(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=run, args=(client,), daemon=True).start()

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes up the thread
            thread.join()


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 80)))


def _head(client: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        piece = client.recv(4096)
        if not piece:
            break
        found += piece
    return found


def _hear_out(failed: ssl.SSLSocket) -> None:
    """Let the other side read why: closing over what it sent would reset the connection."""
    with socket.socket(fileno=os.dup(failed.fileno())) as plain:
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4096):
            pass


def _pipe(one: socket.socket, other: socket.socket) -> None:
    def copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()
