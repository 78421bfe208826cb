"""Raw sockets: for requests that no HTTP library would send."""

from __future__ import annotations

import base64
import socket
from urllib.parse import urlsplit


def authorization(token: str) -> str:
    """The header line that carries a token."""
    return f"Authorization: Basic {base64.b64encode(f'{token}:'.encode()).decode()}\r\n"


def open_socket(url: str, seconds: float = 30.0) -> socket.socket:
    """A connection to a server, whose reads give up after so many seconds."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=seconds)


def send(url: str, data: bytes) -> bytes:
    """Send these bytes and read until the server closes."""
    with open_socket(url) as connection:
        connection.sendall(data)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed, or reset."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes up to and including these bytes, or until the connection is closed."""
    found = b""
    while not found.endswith(end) and (part := connection.recv(65536)):
        found += part
    return found


def closed_by_peer(connection: socket.socket, seconds: float = 30.0) -> bool:
    """Whether the server closes this connection, whatever it says before."""
    connection.settimeout(seconds)
    try:
        read_all(connection)
    except TimeoutError:
        return False
    return True


def status_of(answer: bytes) -> int:
    """The status code in raw bytes of an answer; 0 without one."""
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 2 and answer.startswith(b"HTTP/1.1 ") else 0
