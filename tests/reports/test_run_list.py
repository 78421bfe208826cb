"""What was run here, and whether it still runs."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.reports.run_list import find_runs, print_runs
from nc_sigopt_strategy.results.run_facts import (
    DIED,
    ENDED,
    FACTS_FILE,
    RUNNING,
    RunFacts,
    marked_as_running,
    state_of,
)
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.tuning.test_loop import run


def facts() -> RunFacts:
    return RunFacts.now(
        model="net",
        runtime="fake",
        max_trials=3,
        timeout_seconds=0.0,
        criterion="relative 0.01",
        search_space={},
    )


def test_runs_of_any_depth_are_found_once(tmp_path: Path) -> None:
    for place in ("a/tuned", "runs/b", ".hidden/c"):
        run(FakeHost(), tmp_path / place, max_trials=2)
    found = find_runs([tmp_path, tmp_path / "runs"])
    assert [one.folder.relative_to(tmp_path).as_posix() for one in found] == ["a/tuned", "runs/b"]
    first = found[0]
    assert (first.model, first.runtime, first.state, first.trials) == ("fake", "fake", ENDED, 2)
    assert first.best is not None
    assert json.loads(json.dumps(first.to_json()))["folder"] == str(first.folder)


def test_states(tmp_path: Path) -> None:
    facts().write(tmp_path)
    assert state_of(tmp_path) == DIED
    with marked_as_running(tmp_path):
        assert state_of(tmp_path) == RUNNING
        (tmp_path / OUTCOME_FILE).write_text("{}")
    assert state_of(tmp_path) == ENDED
    assert not list(tmp_path.glob(".*"))


def test_an_outcome_of_before_is_of_another_run(tmp_path: Path) -> None:
    (tmp_path / OUTCOME_FILE).write_text("{}")
    facts().write(tmp_path)
    assert state_of(tmp_path) == DIED
    (tmp_path / OUTCOME_FILE).write_text('{"found": false}')
    assert state_of(tmp_path) == ENDED


def test_a_run_has_ended_whatever_the_clock_did_meanwhile(tmp_path: Path) -> None:
    facts().write(tmp_path)
    (tmp_path / OUTCOME_FILE).write_text("{}")
    os.utime(tmp_path / OUTCOME_FILE, (1, 1))
    assert state_of(tmp_path) == ENDED


def test_a_second_run_in_a_folder_is_refused_and_leaves_the_mark(tmp_path: Path) -> None:
    with marked_as_running(tmp_path):
        with pytest.raises(SettingsError, match="is in use"), marked_as_running(tmp_path):
            pass
        assert state_of(tmp_path) == RUNNING


def test_a_killed_process_leaves_no_running_run(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from nc_sigopt_strategy.results.run_facts import marked_as_running\n"
        "with marked_as_running(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=300)
    assert done.returncode == -9
    assert list(tmp_path.glob(".*")), "the mark is left, and nobody holds it"
    assert state_of(tmp_path) == DIED


def test_files_that_cannot_be_read_are_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / OUTCOME_FILE).write_text("{")
    (tmp_path / "run" / FACTS_FILE).write_text("[]")
    (found,) = find_runs([tmp_path])
    assert (found.model, found.best) == ("", None)
    console = Console(file=io.StringIO(), width=100)
    print_runs([found], console)
    assert "run" in console.file.getvalue()  # type: ignore[attr-defined]


def test_no_program_arguments_are_written(tmp_path: Path, monkeypatch: object) -> None:
    before, sys.argv = sys.argv, ["tune.py", "--token", "HUSH"]
    try:
        text = facts().write(tmp_path).read_text()
    finally:
        sys.argv = before
    assert "tune.py" in text
    assert "HUSH" not in text
