"""Our server is held to what SigOpt's own server was measured to answer, request by request.

The requests and the facts are those of ``benchmarks/scripts/compare_servers.py``, which asks any
two servers.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nc_sigopt_benchmarks.research.server_facts.exchange import Exchange, send_all
from nc_sigopt_benchmarks.research.server_facts.server import Server
from nc_sigopt_benchmarks.research.server_facts.step import Step, read_steps
from nc_sigopt_strategy.engine import EmbeddedDriver
from tests.server.serving import serve_in_thread

FOLDER = Path(__file__).parents[2] / "benchmarks" / "scripts" / "server_requests"
FILES = {path.stem: read_steps(path) for path in sorted(FOLDER.glob("*.yaml"))}
STEPS = [(about, step.name) for about, steps in FILES.items() for step in steps.steps]


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Exchange]:
    """What one server answers to all files of requests, by file and step."""
    store = tmp_path_factory.mktemp("facts") / "engine.db"
    driver = EmbeddedDriver(f"sqlite:///{store}", sampler="random", seed=1)
    with serve_in_thread(driver) as (url, token):
        found = {
            (about, exchange.step.name): exchange
            for about, steps in FILES.items()
            for exchange in send_all(Server(url, token), steps, f"test-{about}")
        }
    driver.close()
    return found


@pytest.mark.parametrize(("about", "name"), STEPS, ids=[f"{a}: {n}" for a, n in STEPS])
def test_answer(exchanges: dict[tuple[str, str], Exchange], about: str, name: str) -> None:
    exchange = exchanges[about, name]
    step: Step = exchange.step
    assert exchange.answer is not None, exchange.problem
    apart = exchange.apart_from(step.real)
    if step.ours is None:
        assert not apart, f"{step.verb} {step.path}: {'; '.join(map(str, apart))}"
        return
    assert not exchange.apart_from(step.ours), f"{step.verb} {step.path}"
    assert apart, "SigOpt's own server answers the same: `ours` and `why` can go"


def test_the_facts_are_many() -> None:
    assert len(STEPS) >= 370
