"""How a server is to behave: its limits, in one object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True)
class ServerOptions:
    """Limits of a server.

    Attributes:
        max_body_bytes: Largest request body that is read.
        writes_per_second: Requests other than GET, per token; 0 for no limit.
        reads_per_second: GET requests, per token; 0 for no limit.
        concurrency: Requests that are worked on at the same time; four times as many may wait.
        max_held_bytes: Bodies that are held at the same time, all together.
        body_seconds: How long a client may take to send a body.
        head_seconds: How long a client may take to send a request's head.
        keep_alive_seconds: How long an idle connection stays open. SigOpt's client drops its
            own after 30 s, so a server that waits longer never closes one that is being used.
        handshake_seconds: How long a client may take over the TLS handshake.
        answer_seconds: How long a client may take to read an answer.
        max_connections: Open connections in all; beyond, the one that has waited longest for its
            client gives way.
        connections_per_peer: The same for one address other than loopback; beyond, new ones are
            closed.
        access_log: Whether each request is logged.
        dashboard_url: Where the dashboard is; ``None`` for no link.
        files: Folder for the files of runs; ``None`` keeps none.
        max_file_bytes: The largest of them.
        public_url: The server's address as clients know it; ``None`` goes by their requests.
    """

    max_body_bytes: int = 8 * MIB
    writes_per_second: int = 50
    reads_per_second: int = 100
    concurrency: int = 32
    max_held_bytes: int = 256 * MIB
    body_seconds: float = 30.0
    head_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    handshake_seconds: float = 10.0
    answer_seconds: float = 60.0
    max_connections: int = 512
    connections_per_peer: int = 128
    access_log: bool = True
    dashboard_url: str | None = None
    files: Path | None = None
    max_file_bytes: int = 64 * MIB
    public_url: str | None = None

    @property
    def max_waiting(self) -> int:
        """How many requests are held at once, running ones included; beyond: status 429."""
        return 5 * self.concurrency
