"""schemathesis, from an environment of its own, against the real server and its document."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import sigopt

from tests.server.serving import ServerProcess, make_token

_FOLDER = Path(__file__).parent
_COMMAND = _FOLDER.parents[1] / ".venv-schemathesis" / "bin" / "schemathesis"
_CASES = 10_000
# Parts of the run -> what to add to the command line.
_SMALL = (
    *("--phases", "examples,fuzzing,stateful", "--max-examples", "3"),
    *("--generation-deterministic", "--seed", "1"),
)
_FULL = ("--max-examples", "100")


@pytest.fixture
def schemathesis() -> Path:
    """The command; ``make test`` sets it up."""
    if not _COMMAND.exists():
        pytest.skip("schemathesis is not set up; do it with: make .venv-schemathesis/.done")
    return _COMMAND


def _run(
    schemathesis: Path, storage_url: str, folder: Path, options: tuple[str, ...]
) -> dict[str, Any]:
    """Test a server on this store; schemathesis' report, after checking it."""
    token = make_token(storage_url)
    report = folder / "report.json"
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    environment["SCHEMATHESIS_HOOKS"] = str(_FOLDER / "schemathesis_hooks.py")
    with ServerProcess(storage_url, "--quiet", "--files", str(folder / "files")) as server:
        _experiments(server.url, token)
        done = subprocess.run(
            [
                schemathesis, "--config-file", _FOLDER / "schemathesis.toml",
                "run", f"{server.url}/openapi.json", "--auth", f"{token}:", "--no-color",
                "--report", "json", "--report-json-path", report, *options,
            ],
            cwd=folder, capture_output=True, text=True, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server.log[-5000:]}"
        with urllib.request.urlopen(f"{server.url}/health", timeout=60) as answer:
            assert answer.status == 200
        assert server.stop() == 0
    assert "Traceback" not in server.log
    assert token not in server.log
    found: dict[str, Any] = json.loads(report.read_text())
    assert found["complete"]
    assert found["failures"] == []
    assert found["operations"]["tested"] == found["operations"]["total"] > 20
    return found


def _experiments(url: str, token: str) -> None:
    """Some experiments as in the document's example, with suggestions and an observation."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=60) as answer:
        document = json.load(answer)
    request = document["paths"]["/v1/experiments"]["post"]["requestBody"]
    example = request["content"]["application/json"]["examples"]["usual"]["value"]
    client = sigopt.Connection(client_token=token, api_url=url)
    for _ in range(2):
        endpoint = client.experiments(client.experiments().create(**example).id)
        for _ in range(3):
            endpoint.suggestions().create()
        failed = endpoint.suggestions().create().id
        endpoint.observations().create(suggestion=failed, failed=True)
    _runs(client, document["paths"])


def _runs(client: Any, paths: dict[str, Any]) -> None:
    """An AI experiment with a run, runs beside it, and of one of them all that a run can have."""

    def example(pattern: str) -> dict[str, Any]:
        content = paths[pattern]["post"]["requestBody"]["content"]["application/json"]
        return dict(content["examples"]["usual"]["value"])

    def post(*path: str, **body: Any) -> Any:
        return client.impl.driver.request("POST", path, body, None)["id"]

    inside, project = "/v1/clients/{client_id}/projects/{project_id}", ("clients", "1", "projects")
    post(*project, id="runs", name="Runs")
    made = post(*project, "runs", "aiexperiments", **example(f"{inside}/aiexperiments"))
    post("aiexperiments", made, "training_runs", name="with a suggestion")
    tag = post("clients", "1", "tags", name="a tag", color="#aabbcc")
    described = "/v1/training_runs/{training_run_id}"
    for _ in range(3):
        run = post(*project, "runs", "training_runs", **example(f"{inside}/training_runs"))
        for part in ("checkpoints", "files"):
            post("training_runs", run, part, **example(f"{described}/{part}"))
        post("training_runs", run, "tags", id=tag)


def test_a_share(schemathesis: Path, tmp_path: Path) -> None:
    found = _run(schemathesis, f"sqlite:///{tmp_path / 'store.db'}", tmp_path, _SMALL)
    assert found["test_cases"]["generated"] >= 200


@pytest.mark.full
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_ten_thousand(
    schemathesis: Path,
    tmp_path: Path,
    database: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    found = _run(schemathesis, url, tmp_path, _FULL)
    cases = found["test_cases"]["generated"]
    with capsys.disabled():
        print(f"\n{request.node.name}: {cases} cases, seed {found['seed']}", flush=True)
    assert cases >= _CASES
