"""A server that answers with whatever bytes a test gives it, for as long as it likes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

HOST = "127.0.0.1"
Script = Callable[[], Iterable[bytes]]


@dataclass
class HostileServer:
    """A server that is running.

    Attributes:
        url: Where it listens.
        heads: The heads of the requests it got.
        sent: How many bytes clients have taken.
    """

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    sent: int = 0


@contextlib.contextmanager
def hostile(script: Script) -> Iterator[HostileServer]:
    """A server whose every answer is what ``script`` yields; a client that goes away ends it."""
    made = HostileServer()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            made.heads.append(head)
            for piece in script():
                client.sendall(piece)
                made.sent += len(piece)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server((HOST, 0)) as listener:
        made.url = f"http://{HOST}:{listener.getsockname()[1]}"
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes up the thread
            thread.join()


def answer(body: bytes, *heads: str, status: int = 200, length: int | None = None) -> Script:
    """A script: one whole answer of JSON.

    Args:
        body: Its body.
        heads: Further lines of the head.
        status: Its status.
        length: What it says of its length; ``None``: the truth.
    """
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", *heads]
    head = "\r\n".join([*lines, f"Content-Length: {size}", "Connection: close", "", ""])
    return lambda: [head.encode() + body]
