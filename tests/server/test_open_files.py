"""A server that may open few files, and clients that hold many sockets."""

from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server import open_files
from nc_sigopt_strategy.server.addresses import listening_socket
from nc_sigopt_strategy.server.open_files import fit_to_open_files
from nc_sigopt_strategy.server.options import ServerOptions
from nc_sigopt_strategy.server.tokens import TokenStore
from tests.server.serving import ServerProcess
from tests.server.sockets import open_socket


def test_idle_sockets_neither_fill_the_log_nor_keep_others_out(
    storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = TokenStore(storage_url)
    token = tokens.create("one")
    tokens.close()
    limited = ("bash", "-c", 'ulimit -n 64; exec "$0" "$@"', sys.executable)
    original = subprocess.Popen

    def popen(command: list[str], **options: Any) -> Any:
        return original([*limited, *command[1:]], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with ServerProcess(storage_url) as server:
        idle = [open_socket(server.url) for _ in range(200)]
        time.sleep(2.0)
        answered = 0
        for _ in range(20):
            try:
                answer = requests.get(f"{server.url}/v1/tokens/self", auth=(token, ""), timeout=60)
            except requests.ConnectionError:
                continue
            answered += answer.status_code == 200
        assert answered >= 15
        assert len(server.log) < 10_000
        assert "may have 64 files open" in server.log
        for connection in idle:
            connection.close()
        assert server.stop() == 0


def test_a_listener_short_of_files_turns_away_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    short = [True]
    original = socket.socket.accept

    def accept(listener: socket.socket) -> Any:
        # The spare file is given up for the second attempt.
        if short[0] and listener._spare is not None:  # type: ignore[attr-defined]
            raise OSError(errno.EMFILE, "Too many open files")
        return original(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with listening_socket("127.0.0.1", 0) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
        for client in clients[:2]:
            with pytest.raises(BlockingIOError):
                listener.accept()
            client.settimeout(30)
            assert client.recv(1) == b""
        short[0] = False
        taken, _ = listener.accept()
        taken.sendall(b"x")
        assert clients[2].recv(1) == b"x"
        for connection in (*clients, taken):
            connection.close()
    assert len([r for r in caplog.records if "ulimit" in r.getMessage()]) == 1


@pytest.mark.parametrize(
    ("limits", "connections", "threads"),
    [
        ((64, 64), 17, 5),
        ((64, 128), 48, 16),
        ((256, 256), 128, 32),
        ((1024, 4096), 512, 32),
        ((64, resource.RLIM_INFINITY), 512, 32),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 512, 32),
    ],
)
def test_limits_follow_from_what_may_be_opened(
    limits: tuple[int, int], connections: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [limits]
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(
        open_files.resource, "setrlimit", lambda _, wanted: now.__setitem__(0, wanted)
    )
    said: list[str] = []
    fitted = fit_to_open_files(ServerOptions(), said.append)
    assert (fitted.max_connections, fitted.concurrency) == (connections, threads)
    assert len(said) == (fitted != ServerOptions())
    assert now[0][1] == limits[1]


def test_no_room_for_a_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "_allowed", lambda wanted: 20)
    with pytest.raises(SettingsError, match=r"only 20 files.*ulimit -n"):
        fit_to_open_files(ServerOptions(), lambda line: None)
