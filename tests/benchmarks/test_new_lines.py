"""What is shown of a log that another process writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nc_sigopt_benchmarks.running.child import run_child
from nc_sigopt_benchmarks.running.new_lines import NewLines


def test_each_line_is_shown_once_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    shown: list[str] = []
    with path.open("ab") as log, NewLines(path, shown.append) as lines:
        for written, expected in (
            (b"", []),
            (b"one\ntw", ["one"]),
            (b"o\n\x1b[2Jthree\n", ["one", "two", "\\x1b[2Jthree"]),
            (b"\xff", ["one", "two", "\\x1b[2Jthree"]),
        ):
            log.write(written)
            log.flush()
            lines.show()
            assert shown == expected
    assert len(shown) == 4, "the last line, which nobody ends any more"


@dataclass
class Talking:
    """A request to a process that says one line and ends."""

    folder: Path
    module: str = "platform"
    python: str | None = None

    def write(self) -> Path:
        return self.folder


@pytest.mark.parametrize("shown", [True, False])
def test_what_a_run_logs_is_shown_on_request_and_in_its_file_anyway(
    shown: bool, tmp_path: Path
) -> None:
    told: list[str] = []
    config: Any = SimpleNamespace(accuracy_criterion=SimpleNamespace(higher_is_better=True))
    run: Any = SimpleNamespace(label="any", max_trials=1, timeout=0)
    show_log = told.append if shown else None
    end = run_child(Talking(tmp_path), config, run, progress=False, show_log=show_log)
    assert end.failure is None
    logged = (tmp_path / "log.txt").read_text().splitlines()
    assert len(logged) == 1
    assert told == (logged if shown else [])
