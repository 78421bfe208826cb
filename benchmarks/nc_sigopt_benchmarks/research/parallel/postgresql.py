"""A real PostgreSQL server for benchmarks and tests, from Debian's package, as it comes."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SigOptStrategyError

_START_SECONDS = 120.0
_ROLE = "sigopt"


class NoPostgreSQLError(SigOptStrategyError):
    """PostgreSQL is not installed, or does not start."""


class PostgreSQL:
    """A server on a free port of loopback, its data in a temporary folder; a context manager.

    It runs with PostgreSQL's own settings, so that a commit is on disk when it is confirmed, but
    for the number of connections. As root it runs as an unprivileged user.

    Args:
        connections: How many it takes at the same time.

    Attributes:
        port: Its TCP port, the same after each restart.

    Raises:
        NoPostgreSQLError: There is none, or it does not start.
    """

    def __init__(self, connections: int = 100) -> None:
        self._programs = programs()
        self._connections = connections
        self._password = secrets.token_hex(16)
        self._folder = Path(tempfile.mkdtemp(prefix="nc-sigopt-postgresql-"))
        self._owner = _unprivileged_user()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> PostgreSQL:
        try:
            self._make_cluster()
            self.start()
            self._execute(f"CREATE ROLE {_ROLE} LOGIN PASSWORD '{self._password}'")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def database(self, name: str, template: str | None = None) -> str:
        """A new database, empty or a copy of another one that nobody is connected to; its URL."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        copied = "" if template is None else f" TEMPLATE {template}"
        self._execute(f"CREATE DATABASE {name} OWNER {_ROLE}{copied}")
        return f"postgresql+psycopg://{_ROLE}:{self._password}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            NoPostgreSQLError: It does not; with the end of its log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                # After a kill it refuses to start until its last old process has gone.
                self._process = self._launch()
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise NoPostgreSQLError(f"PostgreSQL does not start: {self.log[-2000:]}")
            time.sleep(0.1)

    def restart(self) -> None:
        """What ``pg_ctl restart -m immediate`` does: every connection breaks, no clean end."""
        self._end(signal.SIGQUIT)
        self.start()

    def kill_and_start(self) -> None:
        """End the postmaster with SIGKILL and start again; it recovers from its journal."""
        self._end(signal.SIGKILL)
        self.start()

    def stop(self) -> None:
        """End it and break its connections; nothing answers on the port until ``start``."""
        self._end(signal.SIGINT)

    def freeze(self) -> None:
        """Stop all its processes where they are (SIGSTOP): it answers nobody, breaks nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        if self._process is None:
            return
        main = self._process.pid
        # The main process first, or it would start others in between.
        os.kill(main, number)
        # Each has a session of its own, so there is no group to signal.
        for child in Path(f"/proc/{main}/task/{main}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def close(self) -> None:
        """End it and remove its data."""
        self.thaw()
        self._end(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """What it has written so far."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _make_cluster(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        if self._owner is not None:
            for path in (self._folder, password):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        done = subprocess.run(
            [
                self._programs / "initdb", "-D", self._folder / "data", "-U", "administrator",
                "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C",
            ],
            capture_output=True, text=True, check=False, **self._as_owner(),
        )  # fmt: skip
        password.unlink()
        if done.returncode:
            raise NoPostgreSQLError(f"initdb failed: {done.stderr[-2000:]}")

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres", "-D", self._folder / "data",
                    "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
                    "-c", f"max_connections={self._connections}",
                    "-c", "unix_socket_directories=",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # Ctrl-C is for who runs this, and then stops it
                **self._as_owner(),
            )  # fmt: skip

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=60)

    def _as_owner(self) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": self._folder, "env": {**os.environ, "LC_ALL": "C"}}
        if self._owner is not None:
            options.update(user=self._owner.pw_uid, group=self._owner.pw_gid, extra_groups=[])
        return options

    def _answers(self) -> bool:
        import psycopg

        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        connection = self._connect()
        try:
            connection.execute(statement)
        finally:
            connection.close()

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname="postgres", user="administrator",
            password=self._password, autocommit=True, connect_timeout=10,
        )  # fmt: skip


def programs() -> Path:
    """The folder of ``initdb`` and ``postgres``.

    Raises:
        NoPostgreSQLError: There is none.
    """
    on_path = shutil.which("initdb")
    found = [] if on_path is None else [Path(on_path).resolve().parent]
    # Debian keeps them off PATH, in one folder per version.
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))],
    )
    for folder in [*found, *reversed(versions)]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgreSQLError("PostgreSQL is not installed.", "apt-get install -y postgresql")


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom it runs as where we are root, which it refuses to run as."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
