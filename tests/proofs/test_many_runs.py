"""Many clients with runs of an AI experiment: nothing confirmed lost, nothing observed twice."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.server.serving import ServerProcess, make_token

PROJECT = ["clients", "1", "projects", "p"]
PARAMETERS = [
    {"name": f"x{i}", "type": "double", "bounds": {"min": 0, "max": 1}} for i in range(5)
]
STEPS = 4
# Of every so many runs one has a file.
FILE_EVERY = 4
KEPT = ("metadata", "values", "checkpoints", "files")
_GIVE_UP_SECONDS = 300.0


@dataclass(frozen=True)
class Proof:
    """How large a proof is.

    Attributes:
        clients: Threads with a connection each.
        runs: Of each client.
        kills: How often the server is killed.
    """

    clients: int
    runs: int
    kills: int


SIZES = [
    pytest.param(Proof(4, 8, 1), id="small"),
    pytest.param(
        Proof(16, 125, 5), id="full", marks=[pytest.mark.full, pytest.mark.timeout(3000)]
    ),
]


@dataclass
class Client:
    """Makes runs one after the other, and keeps what was confirmed of each.

    Attributes:
        confirmed: Run id to the metadata, values, checkpoints (by their ids) and files (the bytes,
            by their ids) that an answer confirmed.
        doubtful: Run id to how many checkpoints may be there that no answer confirmed.
        finished: Ids of those whose end was confirmed.
        lost: Requests that had no answer.
    """

    number: int
    server: ServerProcess
    token: str
    experiment: str
    confirmed: dict[str, dict[str, Any]] = field(default_factory=dict)
    doubtful: Counter[str] = field(default_factory=Counter)
    finished: set[str] = field(default_factory=set)
    lost: int = 0

    def work(self, runs: int) -> None:
        """Make runs: metadata in several requests, a checkpoint, a file, values, the end."""
        draw = random.Random(self.number)
        for count in range(runs):
            body = {"name": f"client {self.number}, run {count}"}
            made = self._surely("POST", f"aiexperiments/{self.experiment}/training_runs", body)
            told = self.confirmed.setdefault(made["id"], {key: {} for key in KEPT})
            for step in range(STEPS):
                self._tell(made["id"], told, "metadata", {f"step {step}": draw.random()})
            self._checkpoint(made["id"], told, draw.random())
            if count % FILE_EVERY == 0:
                self._file(made["id"], told, f"{self.number} {count}".encode() * 1000)
            self._tell(made["id"], told, "values", {"m": {"value": draw.random()}})
            state = "failed" if draw.random() < 0.05 else "completed"
            self._surely("MERGE", f"training_runs/{made['id']}", {"state": state})
            self.finished.add(made["id"])

    def _tell(
        self, run: str, told: Mapping[str, Any], key: str, entries: Mapping[str, Any]
    ) -> None:
        self._surely("MERGE", f"training_runs/{run}", {key: entries})
        told[key].update(entries)

    def _checkpoint(self, run: str, told: Mapping[str, Any], value: float) -> None:
        lost = self.lost
        body = {"values": [{"name": "m", "value": value}]}
        made = self._surely("POST", f"training_runs/{run}/checkpoints", body)
        told["checkpoints"][made["id"]] = value
        self.doubtful[run] += self.lost - lost

    def _file(self, run: str, told: Mapping[str, Any], content: bytes) -> None:
        described = {
            "name": "a file",
            "content_type": "text/plain",
            "content_length": len(content),
            "content_md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
        }
        made = self._surely("POST", f"training_runs/{run}/files", described)
        self._until_answered(lambda: requests.put(made["upload"]["url"], data=content, timeout=60))
        told["files"][made["id"]] = content

    def _surely(self, verb: str, path: str, body: Mapping[str, Any]) -> Any:
        """Ask until there is an answer. What a MERGE says may be said twice."""
        answer = self._until_answered(
            lambda: requests.request(
                verb, f"{self.server.url}/v1/{path}", json=body, auth=(self.token, ""), timeout=60
            )
        )
        return answer.json()

    def _until_answered(self, ask: Callable[[], requests.Response]) -> requests.Response:
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while True:
            try:
                answer = ask()
                if answer.status_code == 200:
                    if answer.content:
                        answer.json()  # whole
                    return answer
                assert answer.status_code >= 500, answer.text
            except (requests.RequestException, ValueError):
                pass
            assert time.monotonic() < deadline, "the server does not come back"
            self.lost += 1
            time.sleep(0.2)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgresql_url"))


def begin(storage_url: str) -> str:
    """The id of a new AI experiment."""
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1)
    driver.answer("POST", PROJECT[:3], {"id": "p", "name": "P"})
    body = {"name": "e", "parameters": PARAMETERS, "metrics": [{"name": "m"}]}
    made = driver.answer("POST", [*PROJECT, "aiexperiments"], body)
    driver.close()
    return str(made["id"])


def everything(driver: EmbeddedDriver, path: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {}
    while True:
        page = driver.answer("GET", path, query)
        found += page["data"]
        if page["paging"]["before"] is None:
            return found
        query = {"before": page["paging"]["before"]}


@pytest.mark.parametrize("proof", SIZES)
def test_the_server_is_killed(proof: Proof, storage_url: str, tmp_path: Path) -> None:
    experiment, token = begin(storage_url), make_token(storage_url)
    shelf = tmp_path / "files"
    options = ("--quiet", "--sampler", "random", "--files", str(shelf))
    with ServerProcess(storage_url, *options) as server:
        clients = [Client(n, server, token, experiment) for n in range(proof.clients)]
        done = threading.Event()

        def disturb() -> None:
            moments = random.Random(1)
            for kill in range(proof.kills):
                wanted = (kill + 0.5) / proof.kills * proof.clients * proof.runs
                while sum(len(one.finished) for one in clients) < wanted and not done.wait(0.01):
                    pass
                server.kill()
                time.sleep(moments.uniform(0, 0.5))
                server.start()

        with ThreadPoolExecutor(proof.clients + 1) as pool:
            killing = pool.submit(disturb)
            try:
                list(pool.map(lambda one: one.work(proof.runs), clients))
            finally:
                done.set()
            killing.result()
    assert sum(one.lost for one in clients) >= proof.kills
    check(storage_url, experiment, clients)
    check_parts(storage_url, shelf, clients)


def check_parts(storage_url: str, shelf: Path, clients: list[Client]) -> None:
    """Checkpoints and files: what was confirmed is there, and the run knows of all there is."""
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1, keeps_files=True)
    for run, told, doubtful in (
        (run, told, client.doubtful[run])
        for client in clients
        for run, told in client.confirmed.items()
    ):
        document = driver.answer("GET", ["training_runs", run], {})
        kept = everything(driver, ["training_runs", run, "checkpoints"])
        values = {one["id"]: one["values"][0]["value"] for one in kept}
        assert told["checkpoints"].items() <= values.items()
        assert len(kept) == document["checkpoint_count"]
        assert len(kept) - len(told["checkpoints"]) <= doubtful
        assert set(told["files"]) <= set(document["files"])
        for file in document["files"]:
            assert driver.answer("GET", ["files", file], {})["training_run"] == run
        for file, content in told["files"].items():
            assert (shelf / file).read_bytes() == content
    driver.close()


def check(storage_url: str, experiment: str, clients: list[Client]) -> None:
    driver = EmbeddedDriver(storage_url, sampler="random", seed=1)
    runs = {run["id"]: run for run in everything(driver, [*PROJECT, "training_runs"])}
    observations = everything(driver, ["experiments", experiment, "observations"])
    driver.close()
    observed = {one["id"]: one for one in observations}
    confirmed = {run: told for one in clients for run, told in one.confirmed.items()}
    assert confirmed.keys() <= runs.keys()
    for run, told in confirmed.items():
        assert runs[run]["metadata"] == told["metadata"]
        assert runs[run]["values"]["m"]["value"] == told["values"]["m"]["value"]
        observation = observed.pop(runs[run]["observation"])
        assert observation["suggestion"] == runs[run]["suggestion"]
        if runs[run]["state"] == "failed":
            assert observation["failed"]
        else:
            assert observation["values"][0]["value"] == told["values"]["m"]["value"]
    assert not observed, "an observation of no run, or a second one"
    # A run that nobody was told of: its answer was lost, and nobody went on with it.
    for run in runs.keys() - confirmed.keys():
        assert runs[run]["observation"] is None
