"""Many clients with runs of an AI experiment: nothing confirmed lost, nothing observed twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
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
        confirmed: Run id to the metadata and values that an answer confirmed.
        finished: Ids of those whose end was confirmed.
        lost: Requests that had no answer.
    """

    number: int
    server: ServerProcess
    token: str
    experiment: str
    confirmed: dict[str, dict[str, Any]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    lost: int = 0

    def work(self, runs: int) -> None:
        """Make runs: metadata in several requests, then values, then the end."""
        draw = random.Random(self.number)
        for count in range(runs):
            body = {"name": f"client {self.number}, run {count}"}
            made = self._surely("POST", f"aiexperiments/{self.experiment}/training_runs", body)
            told = self.confirmed.setdefault(made["id"], {"metadata": {}, "values": {}})
            for step in range(STEPS):
                self._tell(made["id"], told, "metadata", {f"step {step}": draw.random()})
            self._tell(made["id"], told, "values", {"m": {"value": draw.random()}})
            state = "failed" if draw.random() < 0.05 else "completed"
            self._surely("MERGE", f"training_runs/{made['id']}", {"state": state})
            self.finished.add(made["id"])

    def _tell(
        self, run: str, told: Mapping[str, Any], key: str, entries: Mapping[str, Any]
    ) -> None:
        self._surely("MERGE", f"training_runs/{run}", {key: entries})
        told[key].update(entries)

    def _surely(self, verb: str, path: str, body: Mapping[str, Any]) -> Any:
        """Ask until there is an answer. What a MERGE says may be said twice."""
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while True:
            try:
                answer = requests.request(
                    verb,
                    f"{self.server.url}/v1/{path}",
                    json=body,
                    auth=(self.token, ""),
                    timeout=60,
                )
                if answer.status_code == 200:
                    return answer.json()
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
def test_the_server_is_killed(proof: Proof, storage_url: str) -> None:
    experiment, token = begin(storage_url), make_token(storage_url)
    with ServerProcess(storage_url, "--quiet", "--sampler", "random") as server:
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
