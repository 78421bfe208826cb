"""A store that was written before stays readable: the tables and what is kept in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver

DATA = Path(__file__).parent / "data"
TUNE = ["experiments", "2"]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[EmbeddedDriver]:
    """On a copy of what commit e2c1719 wrote."""
    path = tmp_path / "old.db"
    database = sqlite3.connect(path)
    database.executescript((DATA / "store_e2c1719.sql").read_text())
    database.close()
    made = EmbeddedDriver(f"sqlite:///{path}", seed=1)
    yield made
    made.close()


def test_it_answers_as_it_did_then(driver: EmbeddedDriver) -> None:
    then = json.loads((DATA / "store_e2c1719.json").read_text())
    assert len(then) > 20
    for view in then:
        now = _without_grid_bounds(driver.answer("GET", view["path"], {}))
        if now["object"] == "pagination":
            # Since then the first page tells its newest item, to ask later what came after it.
            newest = now["paging"].pop("after")
            if view["path"][-1] != "best_assignments":
                assert (newest is None) == (now["data"] == [])
            del view["answer"]["paging"]["after"]
        assert now == view["answer"], view["path"]


def _without_grid_bounds(answer: Any) -> Any:
    """The answer as it was then: a parameter with a grid had no bounds."""
    if isinstance(answer, list):
        return [_without_grid_bounds(entry) for entry in answer]
    if not isinstance(answer, dict):
        return answer
    bounds = {"bounds": None} if answer.get("object") == "parameter" and "grid" in answer else {}
    return {key: _without_grid_bounds(entry) for key, entry in answer.items()} | bounds


def test_it_goes_on(driver: EmbeddedDriver) -> None:
    before = driver.answer("GET", TUNE, {})
    assert before["name"] == "tune"
    queued = driver.answer("POST", [*TUNE, "suggestions"], {})
    assert set(queued["assignments"].values()) == {"bf16"}
    sampled = driver.answer("POST", [*TUNE, "suggestions"], {})
    names = ("accuracy", "latency", "output_noise")
    for made in (queued, sampled):
        found = [{"name": name, "value": 1.0} for name in names]
        report = {"suggestion": made["id"], "values": found}
        driver.answer("POST", [*TUNE, "observations"], report)
    after = driver.answer("GET", TUNE, {})
    counts = [found["progress"]["observation_count"] for found in (before, after)]
    assert counts[1] == counts[0] + 2
    known = driver.answer("GET", [*TUNE, "suggestions"], {})["data"]
    others = [made["assignments"] for made in known if made["id"] != sampled["id"]]
    assert len(others) == 11
    assert sampled["assignments"] not in others
