"""A real PostgreSQL server for tests, from Debian's package, with databases of their own."""

from __future__ import annotations

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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

INSTALL = "apt-get install -y postgresql"
# Starting includes recovery after a crash, on a machine that does other work too.
_START_SECONDS = 120.0
_ROLE = "sigopt"


class PostgreSQL:
    """A server on a free port of loopback, in a temporary data folder.

    It runs with PostgreSQL's own settings, so a commit is on disk when it is confirmed, and as
    an unprivileged user where we are root. ``close`` ends it and removes the folder.

    Attributes:
        port: Its TCP port, the same after each restart.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = _unprivileged_user()
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self.port = _free_port()
        try:
            self._make_cluster()
            self.start()
            self._execute(f"CREATE ROLE {_ROLE} LOGIN PASSWORD '{self._password}'")
        except BaseException:
            self.close()
            raise

    def new_database(self) -> str:
        """An empty database: its URL, as SQLAlchemy takes it, with user and password."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._execute(f"CREATE DATABASE {name} OWNER {_ROLE}")
        return f"postgresql+psycopg://{_ROLE}:{self._password}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it and wait until it takes connections.

        Raises:
            RuntimeError: It does not; with the end of its log.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                # After a kill it refuses to start until its last old process has gone.
                self._process = self._launch()
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log[-3000:]}")
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

    def close(self) -> None:
        """End it and remove its data."""
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
        password.chmod(0o600)
        if self._user:
            for path in (self._folder, password):
                shutil.chown(path, self._user, pwd.getpwnam(self._user).pw_gid)
        made = subprocess.run(
            [
                self._programs / "initdb", "--pgdata", self._folder / "data",
                "--username", "administrator", "--pwfile", password,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
            ],
            capture_output=True, text=True, **self._as_user(),
        )  # fmt: skip
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")
        password.unlink()

    def _launch(self) -> subprocess.Popen[bytes]:
        with open(self._folder / "log", "ab") as log:
            return subprocess.Popen(
                [
                    self._programs / "postgres", "-D", self._folder / "data",
                    "-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}",
                    "-c", "unix_socket_directories=",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops it
                **self._as_user(),
            )  # fmt: skip

    def _as_user(self) -> dict[str, Any]:
        environment = {**os.environ, "LC_ALL": "C"}
        options: dict[str, Any] = {"cwd": self._folder, "env": environment}
        if self._user:
            group = pwd.getpwnam(self._user).pw_gid
            options |= {"user": self._user, "group": group, "extra_groups": []}
        return options

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(timeout=60)

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


def programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; ``None`` where they are not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    # Debian keeps them off PATH, one folder per version.
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _numbers(path), reverse=True
    )
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """The server, for tests that stop and restart it; skipped where it is not installed."""
    folder = programs()
    if folder is None:
        pytest.skip(f"PostgreSQL is not installed; install it with: {INSTALL}")
    pytest.importorskip("psycopg")
    server = PostgreSQL(folder)
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> str:
    """The URL of an empty database for this test: ``postgresql+psycopg://...``."""
    return postgresql.new_database()
