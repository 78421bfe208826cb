"""The page of a run while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.reports import run_page
from nc_sigopt_strategy.reports.run_page import PAGE_FILE
from nc_sigopt_strategy.results.run_files import read_outcome
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning import live_page
from tests.reports.test_run_page import data_on
from tests.tuning.test_loop import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every page that was written during a run, as often as it is asked for."""
    pages: list[str] = []

    def write(*arguments: Any) -> Path:
        path = run_page.write_page(*arguments)
        pages.append(path.read_text())
        return path

    monkeypatch.setattr(live_page, "write_page", write)
    monkeypatch.setattr(live_page, "SHARE", float("inf"))
    return pages


def test_the_page_is_renewed_with_each_trial(folder: Path, written: list[str]) -> None:
    host = FakeHost(ops=6, seed=1, tolerable_loss=0.02, jitter=0.01)
    outcome = run(host, folder, max_trials=9, live_page=True).outcome
    counts = [len(data_on(page)["trials"]) for page in written]
    assert counts == sorted(counts)
    assert counts[0] == 0, "one with FP32 alone comes first"
    assert counts[-1] == outcome.trials
    assert len(set(counts)) >= 5
    for page in written:
        assert data_on(page)["running"] is True
        assert "being tuned</title>" in page
        assert "The run goes on: " in page
    assert "No trial has ended so far." in written[0]
    assert "of 9 trials" in written[-1]
    assert "the best so far" in written[-1]
    last = (folder / PAGE_FILE).read_text()
    assert data_on(last)["running"] is False
    assert "being tuned" not in last
    assert "the best so far" not in last


def test_a_search_for_a_front_has_one_too(folder: Path, written: list[str]) -> None:
    host = FakeHost(ops=5, seed=1, jitter=0.01)
    run(host, folder, max_trials=8, live_page=True, goal="pareto")
    assert "Best so far: a front of " in written[-1]


def test_without_the_setting_only_the_end_has_a_page(folder: Path, written: list[str]) -> None:
    run(FakeHost(ops=4), folder)
    assert written == []
    assert read_outcome(folder).files["report"] == PAGE_FILE


def test_the_page_takes_its_share_of_the_time_and_no_more(
    folder: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_page, "SHARE", 1e-9)
    run(FakeHost(ops=4), folder, live_page=True)
    assert len(written) == 1


def test_a_page_that_cannot_be_written_costs_the_page_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> Path:
        raise OSError("no space")

    monkeypatch.setattr(live_page, "write_page", fail)
    monkeypatch.setattr(live_page, "SHARE", float("inf"))
    assert run(FakeHost(ops=4), folder, live_page=True).model is not None
    told = [line for line in caplog.messages if "cannot follow the run" in line]
    assert len(told) == 1


def test_a_page_that_cannot_be_ended_does_not_go_on_for_ever(
    folder: Path, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Path:
        raise OSError("no space")

    monkeypatch.setattr("nc_sigopt_strategy.tuning.ending.write_page", fail)
    run(FakeHost(ops=4), folder, live_page=True)
    assert written
    assert not (folder / PAGE_FILE).exists()
