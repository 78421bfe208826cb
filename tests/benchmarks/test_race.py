"""A race from its command to its files, interrupted and continued."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest
from click.testing import CliRunner

from nc_sigopt_benchmarks.research.racing import race as race_module
from nc_sigopt_benchmarks.research.racing.race import race
from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_benchmarks.research.racing.sources import Source, families, files
from nc_sigopt_benchmarks.research.racing.store import RUNS_FILE, RunStore
from nc_sigopt_benchmarks.research.racing.tasks import Programme, Task
from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.errors import DataError, SettingsError

FILES = ("runs.jsonl", "results.json", "summary.json", "tables.md", "trials_chain.png")


class Inline:
    """Stands in for the processes: runs here, remembers what ran, and can be interrupted."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.ran: list[str] = []
        self._interrupt_after = interrupt_after

    def __call__(
        self, tasks: Iterable[Task], jobs: int
    ) -> Generator[tuple[Task, RunResult], None, None]:
        for task in tasks:
            if len(self.ran) == self._interrupt_after:
                raise KeyboardInterrupt
            self.ran.append(task.key)
            yield task, task.run()


def programme(
    competitors: tuple[str, ...] = ("random", "basic-fallback"), **changes: int
) -> Programme:
    values = {"seeds": 2, "slow_seeds": 1, "trials": 6, "images": 1000, **changes}
    return Programme((Source("chain"),), competitors, slow_sources=frozenset(), **values)


def inline(monkeypatch: pytest.MonkeyPatch, interrupt_after: int | None = None) -> Inline:
    stand_in = Inline(interrupt_after)
    monkeypatch.setattr(race_module, "run_tasks", stand_in)
    return stand_in


def test_a_small_race_end_to_end(tmp_path: Path) -> None:
    options = "--families chain --landscape none --competitors random,basic-fallback --seeds 1"
    arguments = ["race", *options.split(), "--trials", "12", "--jobs", "1", "--output", "out"]

    done = CliRunner().invoke(cli, arguments)

    assert done.exit_code == 0, done.output
    assert "assumptions hold: after 12 trials" in done.output
    assert "Everything about this race: out" in done.output
    assert all((tmp_path / "out" / name).is_file() for name in FILES)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["host"]["versions"]["optuna"]
    assert [run["trials"] for run in results["runs"]] == [12, 12]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {s["trials"] for s in summary["standings"]} == {10, 12}


def test_an_interrupted_race_keeps_what_is_done_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = inline(monkeypatch, interrupt_after=3)
    end = race(programme(), tmp_path, jobs=1)
    assert end.interrupted
    assert len(end.runs) == 3
    assert (tmp_path / "tables.md").is_file()

    second = inline(monkeypatch)
    end = race(programme(), tmp_path, jobs=1)

    assert not end.interrupted
    assert len(second.ran) == 1
    assert len({*first.ran, *second.ran}) == len(end.runs) == 4


def test_a_half_written_line_is_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inline(monkeypatch)
    race(programme(), tmp_path, jobs=1)
    runs = tmp_path / RUNS_FILE
    runs.write_bytes(runs.read_bytes()[:-40])

    again = inline(monkeypatch)
    end = race(programme(), tmp_path, jobs=1)

    assert len(again.ran) == 1
    assert len(end.runs) == len(RunStore(tmp_path).runs(t.key for t in programme().tasks())) == 4


def test_other_settings_are_other_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inline(monkeypatch)
    race(programme(), tmp_path, jobs=1)

    more = inline(monkeypatch)
    end = race(programme(trials=8), tmp_path, jobs=1)

    assert len(more.ran) == 4
    assert {run.budget for run in end.runs} == {8}


def test_a_competitor_can_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inline(monkeypatch)
    race(programme(), tmp_path, jobs=1)

    again = inline(monkeypatch)
    race(programme(), tmp_path, jobs=1, again=["random"])

    assert len(again.ran) == 2
    assert all("|random|" in key for key in again.ran)


def test_a_run_that_breaks_off_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from nc_sigopt_benchmarks.research.racing.optuna_sampler import OptunaCompetitor

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("by hand")

    with monkeypatch.context() as patched:
        patched.setattr(OptunaCompetitor, "suggest", broken)
        inline(patched)
        end = race(programme(("random",), seeds=1), tmp_path, jobs=1)
    assert [run.error for run in end.summary.broken_off] == ["ZeroDivisionError: by hand"]

    again = inline(monkeypatch)
    end = race(programme(("random",), seeds=1), tmp_path, jobs=1)

    assert len(again.ran) == 1
    assert not end.summary.broken_off


def test_a_landscape_that_cannot_be_read_is_a_run_without_trials(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")

    run = Task(Source(path=tmp_path / "bad.jsonl"), 0, "random", 5, 100).run()

    assert run.trials == 0
    assert run.error is not None
    assert "bad.jsonl" in run.error


def test_slow_competitors_have_fewer_seeds() -> None:
    tasks = programme(("random", "tpe-univariate"), seeds=3, slow_seeds=1).tasks()

    assert [task.competitor for task in tasks].count("random") == 3
    assert [task.competitor for task in tasks].count("tpe-univariate") == 1


def test_another_file_is_not_taken_for_runs(tmp_path: Path) -> None:
    (tmp_path / RUNS_FILE).write_text('{"something": "else"}\n')

    with pytest.raises(DataError, match=r"Line 1 of .*runs\.jsonl is not a run"):
        RunStore(tmp_path)


def test_wrong_names_and_numbers_are_told() -> None:
    with pytest.raises(SettingsError, match=r"no family 'chains'.*chain, residual"):
        families(["chains"])
    with pytest.raises(SettingsError, match=r"no landscape file nowhere\.jsonl"):
        files(["nowhere.jsonl:8"])
    with pytest.raises(SettingsError, match="--trials is 0"):
        race(programme(trials=0), Path("out"), jobs=1)


def test_a_batch_size_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")

    assert files([f"{path}:8"]) == (Source(path=path, batch_size=8),)
    assert files([str(path)])[0].key == "a.jsonl"
    with pytest.raises(SettingsError, match="no batch size"):
        files([f"{path}:many"])
