"""Many clients on one experiment: nothing lost, nothing doubled, whatever is killed meanwhile."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL
from tests.engine.processes import connect
from tests.faults.broken_server import BrokenServer, Fault
from tests.proofs.many_clients import FULL, SMALL, Note, Proof, check, run_clients, summary
from tests.server.serving import ServerProcess, make_token

SIZES = [
    pytest.param(SMALL, id="small"),
    pytest.param(FULL, id="full", marks=[pytest.mark.full, pytest.mark.timeout(3000)]),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("postgresql_url"))


class Cluster:
    """Servers of one store with an experiment to work on."""

    def __init__(self, proof: Proof, storage_url: str, servers: int) -> None:
        self.proof, self.storage_url = proof, storage_url
        client, driver = connect(storage_url)
        self.experiment = str(client.experiments().create(**proof.experiment()).id)
        driver.close()
        self.token = make_token(storage_url)
        # With one seed and one history, two servers draw the same point unless they take care.
        options = ("--quiet", "--sampler", proof.sampler, "--seed", "1")
        self.servers = [ServerProcess(storage_url, *options) for _ in range(servers)]
        self._random = random.Random(1)

    def kill_one(self) -> None:
        """Kill a server, leave it dead for a moment, and start it again on the same port."""
        server = self._random.choice(self.servers)
        server.kill()
        time.sleep(self._random.uniform(0, 1))
        server.start()

    def prove(
        self,
        folder: Path,
        say: Callable[[str], None],
        disturb: Callable[[], None] | None = None,
        url: str | None = None,
    ) -> list[Note]:
        """Run the clients and check the store.

        Args:
            folder: For the clients' journals.
            say: Where a line about the run goes.
            disturb: Breaks something and mends it.
            url: What the clients use instead of the servers, which then run already.

        Returns:
            What the clients noted.
        """
        with contextlib.ExitStack() as stack:
            if url is None:
                for server in self.servers:
                    stack.enter_context(server)
            urls = [url] if url else [server.url for server in self.servers]
            try:
                notes, seconds = run_clients(
                    self.proof, self.experiment, urls, self.token, folder, disturb
                )
            except AssertionError as error:
                logs = "\n".join(server.log[-3000:] for server in self.servers)
                raise AssertionError(f"{error}\nThe servers' logs end with:\n{logs}") from error
        say(summary(notes, seconds))
        check(self.proof, self.storage_url, self.experiment, notes)
        if disturb:
            assert any(note["what"] == "lost" for note in notes)
        return notes


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Any:
    """Prints a line, past pytest's capture where the run is a full one."""

    def line(text: str) -> None:
        full = request.node.get_closest_marker("full")
        with capsys.disabled() if full else contextlib.nullcontext():
            print(f"\n{request.node.name}: {text}", flush=True)

    return line


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_undisturbed(storage_url: str, tmp_path: Path, say: Any) -> None:
    Cluster(FULL, storage_url, servers=1).prove(tmp_path, say)


@pytest.mark.parametrize("proof", SIZES)
def test_the_server_is_killed(proof: Proof, storage_url: str, tmp_path: Path, say: Any) -> None:
    cluster = Cluster(proof, storage_url, servers=1)
    cluster.prove(tmp_path, say, cluster.kill_one)


@pytest.mark.parametrize("proof", SIZES)
def test_answers_are_lost(proof: Proof, tmp_path: Path, say: Any) -> None:
    """The server has done its part each time, so that asking again without looking doubles it."""
    cluster = Cluster(proof, f"sqlite:///{tmp_path / 'store.db'}", servers=1)
    each = proof.clients * 2
    with cluster.servers[0] as server, BrokenServer(server.url) as broken:

        def lose() -> None:
            for kind in ("suggestions", "observations"):
                broken.break_with(
                    Fault.RESET, method="POST", path=f"/{kind}$", count=each, stored=True
                )

        notes = cluster.prove(tmp_path, say, lose, broken.url)
    found = [note for note in notes if note["what"] == "found"]
    again = [note for note in notes if note["what"] == "observed" and not note["observation"]]
    assert len(found) >= each * proof.disturbances
    assert len(again) == each * proof.disturbances


@pytest.mark.parametrize("proof", SIZES)
def test_one_of_two_servers_is_killed(
    proof: Proof, postgresql_url: str, tmp_path: Path, say: Any
) -> None:
    cluster = Cluster(proof, postgresql_url, servers=2)
    cluster.prove(tmp_path, say, cluster.kill_one)


@pytest.mark.parametrize("proof", SIZES)
def test_postgresql_is_restarted(
    proof: Proof, postgresql: PostgreSQL, postgresql_url: str, tmp_path: Path, say: Any
) -> None:
    cluster = Cluster(proof, postgresql_url, servers=1)
    cluster.prove(tmp_path, say, postgresql.restart)
