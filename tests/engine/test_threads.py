"""Many threads on one driver: nothing lost, nothing doubled, nobody waits for a sampler."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.proposal import Proposer
from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER
from tests.engine.examples import discrete

THREADS, STEPS = 8, 6
SCORE = [{"name": "score", "value": 1.0}]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def threads_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "sqlite://"
    name = "storage_url" if request.param == "sqlite" else "postgresql_url"
    return str(request.getfixturevalue(name))


def _new(driver: EmbeddedDriver, *sizes: int) -> list[str]:
    return ["experiments", driver.answer("POST", ["experiments"], discrete(*sizes))["id"]]


def test_threads_share_a_driver(threads_url: str) -> None:
    driver = EmbeddedDriver(threads_url, seed=1, sampler="random")
    path = _new(driver, 6, 6, 6)

    def work(worker: int) -> list[str]:
        found = []
        for step in range(STEPS):
            made = driver.answer("POST", [*path, "suggestions"], {})
            driver.answer("PUT", [*path, "suggestions", made["id"]], {"metadata": {"n": step}})
            report = {"suggestion": made["id"], "values": [{"name": "score", "value": worker}]}
            driver.answer("POST", [*path, "observations"], report)
            driver.answer("GET", path, {})
            driver.answer("GET", [*path, "suggestions"], {"limit": "3"})
            found.append(made["id"])
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        ids = [made for found in pool.map(work, range(THREADS)) for made in found]
    assert len(set(ids)) == THREADS * STEPS
    listed = driver.answer("GET", [*path, "suggestions"], {})["data"]
    assert {item["id"] for item in listed} == set(ids)
    assert len({tuple(item["assignments"].values()) for item in listed}) == len(ids)
    assert sorted(item["number"] for item in listed) == list(range(1, len(ids) + 1))
    observed = driver.answer("GET", [*path, "observations"], {})["data"]
    assert sorted(item["suggestion"] for item in observed) == sorted(ids)
    assert driver.answer("GET", path, {})["progress"]["observation_count"] == len(ids)
    driver.close()


class _Thinking(Proposer):
    """Takes its time over one experiment."""

    def __init__(self) -> None:
        super().__init__(DEFAULT_SAMPLER, seed=1)
        self.about = "none yet"
        self.thinking, self.go_on = threading.Event(), threading.Event()

    def propose(self, experiment: Any, history: Any, *rest: Any) -> Any:
        if str(history.study_id) == self.about:
            self.thinking.set()
            assert self.go_on.wait(60)
        return super().propose(experiment, history, *rest)


def test_a_thinking_sampler_stops_only_its_own_experiment(threads_url: str) -> None:
    proposer = _Thinking()
    driver = EmbeddedDriver(threads_url, proposer=proposer)
    slow, other = _new(driver, 9), _new(driver, 9)
    left_open = driver.answer("POST", [*slow, "suggestions"], {})
    proposer.about = slow[1]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(driver.answer, "POST", [*slow, "suggestions"], {})
        try:
            assert proposer.thinking.wait(60)
            report = {"suggestion": left_open["id"], "values": SCORE}
            driver.answer("POST", [*slow, "observations"], report)
            given = {"assignments": {"p0": "v8"}}
            driver.answer("POST", [*slow, "suggestions"], given)
            assert driver.answer("GET", slow, {})["progress"]["observation_count"] == 1
            driver.answer("POST", [*other, "suggestions"], {})
            assert driver.sampler_seconds > 0
            driver.answer("GET", other, {})
            assert driver.sampler_seconds == 0
            assert not asked.done()
        finally:
            proposer.go_on.set()
        assert asked.result()["id"] not in (left_open["id"], None)
    driver.close()
