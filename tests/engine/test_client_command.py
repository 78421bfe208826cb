"""The command line of SigOpt's client against our server: what of it needs the Core API only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.engine.client_programs import QUIET, everything, new_client
from tests.server.serving import serve_in_thread

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("command") / "server.db"
    driver = EmbeddedDriver(f"sqlite:///{path}", seed=1)
    with serve_in_thread(driver, TOKEN, options=QUIET) as (address, _):
        yield address
    driver.close()


class Command:
    """Runs ``sigopt`` with a home folder of its own.

    Args:
        home: The folder.
        url: The server, which it knows from the environment.
    """

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        taken_out = ("SIGOPT_API_TOKEN", "SIGOPT_PROJECT", "SIGOPT_CONTEXT")
        self._env = {k: v for k, v in os.environ.items() if k not in taken_out}
        self._env |= {"SIGOPT_HOME": str(home / ".sigopt"), "SIGOPT_API_URL": url}

    def __call__(self, *args: str, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
        env = self._env | ({} if token is None else {"SIGOPT_API_TOKEN": token})
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "sigopt.cli", *args],
            cwd=self.home, env=env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture
def command(tmp_path: Path, url: str) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, url)


def _client(url: str) -> Any:
    conn = new_client(url, TOKEN)
    return conn, conn.clients(conn.tokens("self").fetch().client)


def test_project_with_the_token_of_the_config_file(command: Command, url: str) -> None:
    done = command(
        "config", "--api-token", TOKEN, "--no-enable-log-collection",
        "--no-enable-cell-tracking", token=None,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stored = json.loads((command.home / ".sigopt" / "client" / "config.json").read_text())
    assert stored["api_token"] == TOKEN
    created = ("create", "project", "--project", "by-command", "--project-name", "By command")
    done = command(*created, token=None)
    assert done.returncode == 0, done.stderr
    _, client = _client(url)
    assert client.projects("by-command").fetch().name == "By command"
    again = command(*created, token=None)
    assert again.returncode == 1
    assert "already exists" in again.stderr


def test_archive_an_experiment(command: Command, url: str) -> None:
    conn, client = _client(url)
    client.projects().create(id="archive", name="archive")
    parameters = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    made = [
        conn.experiments().create(name=name, parameters=parameters, project="archive")
        for name in ("one", "two")
    ]
    missing = command("archive", "experiment", "--project", "not-there", made[0].id)
    assert missing.returncode == 1
    assert "does not exist" in missing.stderr
    done = command("archive", "experiment", "--project", "archive", made[0].id)
    assert done.returncode == 0, done.stderr
    assert conn.experiments(made[0].id).fetch().state == "deleted"
    listed = everything(client.projects("archive").experiments().fetch())
    assert [experiment.id for experiment in listed] == [made[1].id]
    unknown = command("archive", "experiment", "--project", "archive", "987654")
    assert unknown.returncode == 1
    assert "404" in unknown.stderr


def test_version_and_a_wrong_token(command: Command) -> None:
    import sigopt.version

    done = command("version", token=None)
    assert (done.returncode, done.stdout.strip()) == (0, sigopt.version.VERSION)
    refused = command("create", "project", "--project", "nobody", token="wrong")
    assert refused.returncode != 0
    assert "403" in refused.stderr
    assert "wrong" not in refused.stdout
