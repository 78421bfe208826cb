"""Servers for tests: the real application in a thread, the real command in a process."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.addresses import listening_socket
from nc_sigopt_strategy.server.app import App
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.running import Server
from nc_sigopt_strategy.server.sharing import Share
from nc_sigopt_strategy.server.tokens import READ, WRITE, Token, TokenStore, digest_of

# How long a process may take to import everything and open the store, on a busy machine.
START_SECONDS = 120.0
NO_RATES = ("--rate-writes", "0", "--rate-reads", "0")


class FixedTokens:
    """Tokens of a test that have no database: the token itself -> its scope."""

    def __init__(self, scopes: dict[str, str]) -> None:
        self._tokens = {
            digest_of(token): Token(id=number, name=f"token-{number}", scope=scope, created=0)
            for number, (token, scope) in enumerate(scopes.items(), start=1)
        }

    def find(self, digest: str) -> Token | None:
        return self._tokens.get(digest)

    def touch(self, token: Token, now: int) -> None:
        """There is nowhere to note it."""

    def share(self, share: Share, by: Token, expires: int) -> str:
        token = f"guest-{len(self._tokens)}"
        self._tokens[digest_of(token)] = Token(
            id=-by.id, name=token, scope=READ, created=0, share=share, expires=expires
        )
        return token


@contextlib.contextmanager
def run_app(app: Any, options: ServerOptions | None = None, **tls: Any) -> Iterator[str]:
    """Run an ASGI application with our server in a thread until the block ends.

    Yields:
        Its URL, on loopback with a free port.
    """
    listener = listening_socket("127.0.0.1", 0)
    started = threading.Event()
    server = Server(app, options or ServerOptions(), on_start=started.set, **tls)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    if not started.wait(START_SECONDS):
        raise RuntimeError("The server did not start")
    scheme = "https" if tls.get("certificate") else "http"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def serve_in_thread(
    driver: EmbeddedDriver,
    token: str = "a-token-of-the-tests",
    *,
    tokens: Any = None,
    options: ServerOptions | None = None,
    clock: Callable[[], float] = time.monotonic,
    **tls: Any,
) -> Iterator[tuple[str, str]]:
    """Serve a driver until the block ends, without limits on rates unless told otherwise.

    Args:
        driver: Who answers; it is not closed.
        token: A token with scope write that is let in.
        tokens: Instead of it, a ``TokenStore`` or the like.
        options: Limits.
        clock: Seconds, by which a token is remembered and its requests are counted.
        tls: ``certificate`` and ``key``, two paths.

    Yields:
        The URL to give the client as ``api_url``, and the token.
    """
    options = options or ServerOptions(writes_per_second=0, reads_per_second=0)
    app = App(driver, tokens or FixedTokens({token: WRITE}), options, clock)
    with run_app(app, options, **tls) as url:
        yield url, token


def make_token(storage_url: str, scope: str = WRITE, name: str | None = None) -> str:
    """A new token in a store."""
    store = TokenStore(storage_url)
    try:
        return store.create(name or f"test-{time.monotonic_ns()}", scope)
    finally:
        store.close()


class ServerProcess:
    """``nc-sigopt serve`` in a process of its own.

    Use it as a context manager, or call ``start`` and ``stop``. Started again after ``kill`` or
    ``stop``, it listens on the same port.

    Args:
        storage_url: Database URL of the store.
        options: Further command line options; without any about rates there is no rate limit.
        env: Environment variables in addition.

    Attributes:
        url: Where it listens, once started.
        process: The process; ``None`` while there is none.
    """

    def __init__(self, storage_url: str, *options: str, env: dict[str, str] | None = None) -> None:
        rates = () if any(option.startswith("--rate") for option in options) else NO_RATES
        self._options = (*rates, *options)
        # Not on the command line, where everybody could read a password in it.
        self._env = {**os.environ, "NC_SIGOPT_STORAGE": storage_url, **(env or {})}
        self._port = "0"
        self._log: list[str] = []
        self._readers: list[threading.Thread] = []
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> ServerProcess:
        """Start it and wait until it listens."""
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "nc_sigopt_strategy.cli.main", "serve",
                "--port", self._port, *self._options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._env,
        )  # fmt: skip
        listening = threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, listening), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        deadline = time.monotonic() + START_SECONDS
        while not listening.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"The server did not start:\n{self.log}")
        return self

    def _read(self, stream: Any, listening: threading.Event) -> None:
        for line in stream:
            self._log.append(line)
            found = re.match(r"Serving (https?://\S+):(\d+) ", line)
            if found:
                self.url, self._port = f"{found[1]}:{found[2]}", found[2]
                listening.set()

    @property
    def log(self) -> str:
        """All it has written so far, in all its lives, standard output included."""
        return "".join(self._log)

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and wait; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        code = process.wait(timeout=START_SECONDS)
        for reader in self._readers:
            reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return code

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
