"""The page of a run: what is on it, whatever the run came to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.errors import ReportError
from nc_sigopt_strategy.reports.page_data import as_script
from nc_sigopt_strategy.reports.run_page import PAGE_FILE, page_of, written_page
from nc_sigopt_strategy.reports.run_record import COMMAND_FILE, read_run
from nc_sigopt_strategy.results.run_facts import FACTS_FILE
from nc_sigopt_strategy.results.run_files import read_outcome
from nc_sigopt_strategy.results.trial_record import TrialState
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.tuning.test_loop import run

HOPELESS = 1e-6


def data_on(page: str) -> dict[str, Any]:
    found = re.search(r'id="run-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run that found a model."""
    folder = tmp_path / "run"
    run(FakeHost(ops=6, seed=1, tolerable_loss=0.02, jitter=0.01), folder, max_trials=14)
    return folder


def test_each_run_leaves_its_page(folder: Path) -> None:
    outcome = read_outcome(folder)
    assert outcome.files["report"] == PAGE_FILE
    page = (folder / PAGE_FILE).read_text()
    assert outcome.verdict.partition(". ")[0].rstrip(".") in page
    assert "fake on fake" in page
    for name in ("best_model", "recipe.json", "trials.jsonl", "outcome.json"):
        assert f'href="{name}' in page
    assert "{{" not in page


def test_the_page_needs_no_network(folder: Path) -> None:
    page = (folder / PAGE_FILE).read_text()
    addresses = set(re.findall(r"https?://[^\s\"')]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name of SVG's, which nobody fetches"
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)


def test_the_script_gets_each_trials_types(folder: Path) -> None:
    data, record = data_on((folder / PAGE_FILE).read_text()), read_run(folder)
    assert data["ops"] == [f"net/op{place}" for place in range(6)]
    assert data["short"] == [f"op{place}" for place in range(6)]
    assert data["types"] == ["int8", "bf16", "fp32"]
    assert data["shown"] == record.outcome.best.number  # type: ignore[union-attr]
    for drawn, trial, ops in zip(data["trials"], record.trials, record.ops, strict=True):
        assert [data["types"][int(place)] for place in drawn["choices"]] == list(ops.values())
        assert drawn["accuracy"] == trial.accuracy


def test_counts_of_types_add_up(folder: Path) -> None:
    outcome = read_outcome(folder)
    assert sum(outcome.ops_by_type.values()) == 6
    assert list(outcome.ops_by_type) == [
        name for name in ("int8", "bf16", "fp32") if name in outcome.ops_by_type
    ]


def test_other_bounds_rise(folder: Path) -> None:
    others = read_outcome(folder).other_bounds
    assert others
    assert [o.loss for o in others] == sorted(o.loss for o in others)
    assert [o.speedup for o in others] == sorted(o.speedup for o in others)


def test_a_run_without_a_winner_shows_the_nearest_miss(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    host = FakeHost(ops=5, seed=1, tolerable_loss=HOPELESS)
    outcome = run(host, folder, max_trials=12, locked_ops={"net/op0": "int8"}).outcome
    page = (folder / PAGE_FILE).read_text()
    assert outcome.best is None
    assert outcome.nearest_miss is not None
    assert outcome.verdict.startswith("No model met the bound of 0.9000; nearest ")
    data = data_on(page)
    assert data["shown"] == outcome.nearest_miss.number
    assert len(data["contributions"]) == 4
    assert 'class="verdict bad"' in page


def test_names_are_text_and_never_markup(folder: Path) -> None:
    record = read_run(folder)
    trials = list(record.trials)
    bad = "<script>alert(1)</script>&{{trials}}"
    path = folder / "trials.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0].update(origin=bad, failure=bad, state=TrialState.FAILED.value)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = json.loads((folder / FACTS_FILE).read_text())
    facts["search_space"]["parameters"][0]["ops"] = [[bad, "conv2d"]]
    (folder / FACTS_FILE).write_text(json.dumps(facts))
    page = page_of(read_run(folder))
    assert "<script>alert" not in page
    data = data_on(page)
    assert data["ops"][0] == bad
    assert len(data["trials"]) == len(trials)


def test_data_cannot_close_its_element() -> None:
    assert "<" not in as_script({"a": "</script><!--"})
    assert json.loads(as_script({"a": "</script>&"})) == {"a": "</script>&"}


def test_a_run_of_before_has_a_page_too(folder: Path) -> None:
    """Without ``run.json`` parameters stand for ops."""
    (folder / FACTS_FILE).unlink()
    page = written_page(folder).read_text()
    assert len(data_on(page)["ops"]) == 6
    assert "criterion" not in page


def test_the_command_is_on_the_page(folder: Path) -> None:
    (folder / COMMAND_FILE).write_text(json.dumps({"command": "nc-sigopt tune net.onnx"}))
    assert "<pre>nc-sigopt tune net.onnx</pre>" in written_page(folder).read_text()


def test_two_runs_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    run(FakeHost(ops=6, seed=1, tolerable_loss=0.05, jitter=0.01), other, max_trials=9)
    page = written_page(folder, other, tmp_path / "both.html").read_text()
    assert f"Beside {other}" in page
    assert "ops of the winners have another type" in page
    bounds = [f"{read_outcome(place).accuracy_target:.4f}" for place in (folder, other)]
    assert f"<th scope=row>bound</th><td>{bounds[0]}</td><td>{bounds[1]}</td>" in page


@pytest.mark.parametrize("what", ["nothing", "empty", "broken"])
def test_what_is_no_run_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    if what != "nothing":
        folder.mkdir()
    if what == "broken":
        (folder / "outcome.json").write_text("{")
    said = {"nothing": "is no folder", "empty": "holds no outcome", "broken": "cannot be read"}
    with pytest.raises(ReportError, match=said[what]):
        written_page(folder)


def test_a_page_that_cannot_be_written_costs_the_page_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Path:
        raise RuntimeError("no page")

    monkeypatch.setattr("nc_sigopt_strategy.tuning.ending.write_page", fail)
    ended = run(FakeHost(), tmp_path / "run")
    assert ended.model is not None
    assert "report" not in ended.outcome.files
    assert read_outcome(tmp_path / "run") == ended.outcome
