"""Running the application: the socket, TLS, signals, the clean end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.app import App
from nc_sigopt_strategy.server.http_protocol import guarded
from nc_sigopt_strategy.server.options import ServerOptions

# How long a clean end waits for requests that are being worked on. Who sends SIGTERM often sends
# SIGKILL after ten seconds.
_GRACE_SECONDS = 6
_MAX_HEAD_BYTES = 16 * 1024


class Server(uvicorn.Server):
    """A uvicorn server that says when it listens and ends cleanly on SIGTERM and SIGINT.

    Args:
        app: What it serves.
        options: Limits.
        certificate: PEM file of the certificate chain; ``None`` for no TLS.
        key: PEM file of its key.
        on_start: Called once it listens.
    """

    def __init__(
        self,
        app: App,
        options: ServerOptions,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            # Not uvloop, if it is there: what keeps the server upright is made for asyncio's own.
            loop="asyncio",
            http=guarded(options),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(options.keep_alive_seconds),
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            ssl_certfile=None if certificate is None else str(certificate),
            ssl_keyfile=None if key is None else str(key),
        )
        _load(config, certificate, key)
        super().__init__(config)
        self._on_start = on_start
        self._handshake_seconds = options.handshake_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        loop: Any = asyncio.get_running_loop()
        if self.config.ssl is not None:
            # uvicorn has no setting for it, and asyncio's own would let a client hold a
            # connection for a minute before it counts as one.
            loop.create_server = functools.partial(
                loop.create_server, ssl_handshake_timeout=self._handshake_seconds
            )
        await super().startup(sockets)
        if self.started and self._on_start is not None:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT, and call that a success: uvicorn raises them again."""
        try:
            before = {
                number: signal.signal(number, self.handle_exit)
                for number in (signal.SIGTERM, signal.SIGINT)
            }
        except ValueError:  # Not the main thread: somebody else ends it.
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _load(config: uvicorn.Config, certificate: Path | None, key: Path | None) -> None:
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The TLS certificate {certificate} or its key {key} cannot be used: {error}.",
            "Give two PEM files that belong together, the key without a passphrase.",
        ) from error
