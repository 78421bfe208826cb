"""The runs below a folder, with what came of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nc_sigopt_strategy.console.cells import NOTHING
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_facts import ENDED, FACTS_FILE, read_facts, state_of
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE, read_outcome

# A comparison's strategies lie in runs/<comparison>/<strategy>, fit's run in <anything>/tuned.
DEEPEST = 5
FAILED = "failed"
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__"})


@dataclass(frozen=True)
class FoundRun:
    """A run folder and what is known of it.

    Attributes:
        folder: As it was come upon.
        started: Local time in ISO 8601, of the facts, else of the oldest file.
        model: What the user calls it.
        runtime: Name of the backend.
        state: ``running``, ``ended``, ``failed`` (an error ended it) or ``died``.
        baseline: FP32's accuracy.
        bound: The accuracy that has to be met.
        best: Accuracy of the model that is returned.
        speedup: FP32's latency over its own, timed side by side.
        trials: How many.
        verdict: What came of it, in a sentence or two.
    """

    folder: Path
    started: str
    model: str
    runtime: str
    state: str
    baseline: float | None = None
    bound: float | None = None
    best: float | None = None
    speedup: float | None = None
    trials: int | None = None
    verdict: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON-safe data."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}


def find_runs(folders: Iterable[Path]) -> list[FoundRun]:
    """All runs in and below folders, the oldest first; each once.

    Args:
        folders: Hidden folders below them and those of installed packages are passed over.
    """
    places = dict.fromkeys(place for folder in folders for place in _run_folders(folder))
    found = [_found(place) for place in places]
    return sorted(found, key=lambda run: (run.started, str(run.folder)))


def print_runs(found: Iterable[FoundRun], console: Console) -> None:
    """A line each, for a person at a prompt."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    columns = ("started", "model", "runtime", "bound", "best", "times FP32", "trials", "state")
    for name in columns:
        figure = name in ("bound", "best", "times FP32", "trials")
        table.add_column(name, justify="right" if figure else "left", no_wrap=name != "model")
    table.add_column("run folder", overflow="fold")
    for run in found:
        cells = (
            run.started.replace("T", " ")[:16],
            run.model or NOTHING,
            run.runtime or NOTHING,
            _figure(run.bound, 4),
            _figure(run.best, 4),
            _figure(run.speedup, 2),
            NOTHING if run.trials is None else str(run.trials),
            run.state,
            str(run.folder),
        )
        table.add_row(*(Text(cell) for cell in cells))
    if table.row_count:
        console.print(table)
    else:
        console.print(Text("No runs here. nc-sigopt runs FOLDER looks elsewhere."))


def _run_folders(top: Path) -> Iterator[Path]:
    for place, below, files in os.walk(top):
        folder = Path(place)
        if FACTS_FILE in files or OUTCOME_FILE in files:
            yield folder
        deep = len(folder.relative_to(top).parts) >= DEEPEST
        below[:] = sorted(
            name for name in below if not (deep or name.startswith(".") or name in _SKIPPED)
        )


def _found(folder: Path) -> FoundRun:
    facts, state = read_facts(folder), state_of(folder)
    outcome = _outcome(folder) if state == ENDED else None
    started = datetime.fromtimestamp(folder.stat().st_mtime).astimezone()
    known = FoundRun(
        folder=folder,
        started=facts.started if facts else started.isoformat(timespec="seconds"),
        model=facts.model if facts else "",
        runtime=facts.runtime if facts else "",
        state=state,
    )
    if outcome is None:
        return known
    best = outcome.best
    return dataclasses.replace(
        known,
        model=outcome.model or known.model,
        runtime=outcome.runtime or known.runtime,
        state=FAILED if outcome.error else state,
        baseline=outcome.baseline_accuracy,
        bound=outcome.accuracy_target,
        best=None if best is None else best.accuracy,
        speedup=None if outcome.speedup is None else outcome.speedup.value,
        trials=outcome.trials,
        verdict=str(outcome),
    )


def _outcome(folder: Path) -> Outcome | None:
    try:
        return read_outcome(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _figure(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"
