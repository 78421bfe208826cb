"""The command line of SigOpt's client against our server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.engine.client_programs import TOKEN, everything, new_client, served

TRAINING = """
import sys
import sigopt

sigopt.params.setdefault("momentum", 0.5)
sigopt.log_dataset("digits")
sigopt.log_model("a model")
sigopt.log_metadata("worker", "+".join(sys.argv[1:]) or "none")
rate = sigopt.params.setdefault("lr", 0.01)
sigopt.log_metric("accuracy", 1 - (rate - 0.01) ** 2)
sigopt.log_checkpoint({"accuracy": 0.5})
print("trained")
"""
# As people found it in notes about SigOpt, the slip at the bounds of lr included.
WITH_A_SLIP = """
name: MC Test_2
parameters:
- name: batch_size
  type: int
  bounds:
    min: 8
    max: 32
- name: lr
  bounds:
  type: double
    min: 0.00001
    max: 0.1
- name: optimizer
  type: categorical
  categorical_values: ["Adam", "SGD"]
- name: depth
  type: int
  grid: [3,5,7,9]
- name: l2_regularization
  type: double
  grid: [1e-5, 1e-3, 0.33, 0.999]
  transformation: log
metrics:
- name: accuracy
  objective: maximize
budget: 3
"""
MENDED = WITH_A_SLIP.replace("  bounds:\n  type: double", "  type: double\n  bounds:")
# YAML takes 1e-5 for text: a number has a point in it.
WITH_NUMBERS = MENDED.replace("1e-", "1.0e-")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("command")) as address:
        yield address


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

    def write(self, name: str, text: str) -> str:
        """Put a file where the command runs; its name."""
        (self.home / name).write_text(text)
        return name

    def __call__(
        self, *args: str, token: str | None = TOKEN, project: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; ``project`` stands in the environment."""
        return subprocess.run(**self._call(args, token, project), timeout=300, check=False)

    def start(self, *args: str, project: str) -> subprocess.Popen[str]:
        """Begin to run it."""
        started: subprocess.Popen[str] = subprocess.Popen(**self._call(args, TOKEN, project))
        return started

    def _call(self, args: Sequence[str], token: str | None, project: str | None) -> dict[str, Any]:
        given = {"SIGOPT_API_TOKEN": token, "SIGOPT_PROJECT": project}
        return {
            "args": [sys.executable, "-W", "ignore", "-m", "sigopt.cli", *args],
            "cwd": self.home,
            "env": self._env | {key: value for key, value in given.items() if value is not None},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }


@pytest.fixture
def command(tmp_path: Path, url: str) -> Command:
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, url)


def _client(url: str) -> Any:
    conn = new_client(url)
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


def _project(url: str, name: str) -> Any:
    """A project that has just been made."""
    _, client = _client(url)
    client.projects().create(id=name, name=name)
    return client.projects(name)


def _newest_first(project: Any) -> list[dict[str, Any]]:
    return [run.to_json() for run in everything(project.training_runs().fetch())]


def test_run(command: Command, url: str) -> None:
    project = _project(url, "runs")
    train = command.write("train.py", TRAINING)
    run_file = command.write("run.yml", f"name: by file\nrun: [{sys.executable}, {train}, a, b]\n")
    configured = command(
        "config", "--api-token", TOKEN, "--enable-log-collection", "--no-enable-cell-tracking"
    )
    assert configured.returncode == 0, configured.stderr
    options = ("--project", "runs", "--source-file", train)
    done = command("run", *options, "--run-file", run_file)
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout
    done = command("run", *options, "--", sys.executable, "-c", "raise SystemExit(3)")
    assert done.returncode == 0, done.stderr
    other, run = _newest_first(project)
    assert run["name"] == "by file"
    assert (run["state"], run["checkpoint_count"]) == ("completed", 1)
    assert run["assignments"] == {"momentum": 0.5, "lr": 0.01}
    assert run["metadata"] == {"worker": "a+b"}
    assert run["values"]["accuracy"]["value"] == 1
    assert list(run["datasets"]) == ["digits"]
    assert run["model"]["type"] == "a model"
    assert run["source_code"]["content"] == TRAINING
    assert "trained" in run["logs"]["stdout"]["content"]
    # The client does not look at how its command ends.
    assert (other["state"], other["values"]) == ("completed", {})
    done = command("archive", "run", "--project", "runs", run["id"])
    assert done.returncode == 0, done.stderr
    assert [one["deleted"] for one in _newest_first(project)] == [False, True]
    done = command("unarchive", "run", "--project", "runs", run["id"])
    assert done.returncode == 0, done.stderr
    assert [one["deleted"] for one in _newest_first(project)] == [False, False]


def test_optimize_by_a_file_from_the_notes(command: Command, url: str) -> None:
    project = _project(url, "notes")
    train = command.write("train.py", TRAINING)
    words = ("--project", "notes", sys.executable, train, "worker-1")
    command.write("experiment.yml", WITH_A_SLIP)
    refused = command("optimize", *words)
    assert refused.returncode == 2
    assert "Could not parse experiment.yml" in refused.stderr
    mended = command.write("mended.yml", MENDED)
    refused = command("optimize", "-e", mended, *words)
    assert refused.returncode == 1
    assert "grid of l2_regularization" in refused.stderr
    assert "'1e-5'" in refused.stderr
    numbers = command.write("numbers.yml", WITH_NUMBERS)
    done = command("optimize", "-e", numbers, *words)
    assert done.returncode == 0, done.stderr
    runs = _newest_first(project)
    assert len(runs) == 3
    for run in runs:
        given = run["assignments"]
        assert given["depth"] in (3, 5, 7, 9)
        assert given["l2_regularization"] in (1e-5, 1e-3, 0.33, 0.999)
        assert 1e-5 <= given["lr"] <= 0.1
        assert given["momentum"] == 0.5
        assert run["observation"] is not None
    unknown = command("optimize", "--sigopt-file", numbers, *words)
    assert unknown.returncode != 0


def test_an_experiment_its_workers_and_its_end(command: Command, url: str) -> None:
    project = _project(url, "workers")
    train = command.write("train.py", TRAINING)
    numbers = command.write("numbers.yml", WITH_NUMBERS)
    done = command("create", "experiment", "--project", "workers", "-e", numbers)
    assert done.returncode == 0, done.stderr
    told = re.search(r"sigopt start-worker (\d+)", done.stdout + done.stderr)
    assert told is not None
    machines = ("machine-1", "machine-2")
    workers = [
        command.start("start-worker", told[1], sys.executable, train, machine, project="workers")
        for machine in machines
    ]
    for worker in workers:
        _, said = worker.communicate(timeout=300)
        assert worker.returncode == 0, said
    runs = _newest_first(project)
    # Each looks first and then takes, so one may be more.
    assert len(runs) in (3, 4)
    assert {run["metadata"]["worker"] for run in runs} <= set(machines)
    assert {run["experiment"] for run in runs} == {told[1]}
    conn, _ = _client(url)
    for verb, state in (("archive", "deleted"), ("unarchive", "active")):
        done = command(verb, "experiment", "--project", "workers", told[1])
        assert done.returncode == 0, done.stderr
        assert conn.aiexperiments(told[1]).fetch().state == state
    done = command("start-worker", told[1], sys.executable, train, project="workers")
    assert done.returncode == 0, done.stderr
    assert len(_newest_first(project)) == len(runs)
