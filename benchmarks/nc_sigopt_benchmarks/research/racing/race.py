"""A whole race: the runs that are missing, then the files and the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.racing.cells import CellTable, race_tables
from nc_sigopt_benchmarks.research.racing.competitors import check_names, skip_reason
from nc_sigopt_benchmarks.research.racing.drawing import markdown
from nc_sigopt_benchmarks.research.racing.plots import draw_race
from nc_sigopt_benchmarks.research.racing.pool import run_tasks
from nc_sigopt_benchmarks.research.racing.progress import RaceProgress
from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_benchmarks.research.racing.store import RunStore
from nc_sigopt_benchmarks.research.racing.summary import Summary, marks_within, summarize
from nc_sigopt_benchmarks.research.racing.tasks import Programme, Task
from nc_sigopt_strategy.errors import MissingExtraError, SettingsError
from nc_sigopt_strategy.files import write_whole

RESULTS_FILE = "results.json"
SUMMARY_FILE = "summary.json"
TABLES_FILE = "tables.md"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RaceEnd:
    """What a race ended with.

    Attributes:
        runs: All that were asked for and are there.
        summary: Of these.
        tables: The same as text.
        skipped: Competitor to the reason why it did not race.
        interrupted: Whether runs are missing because of Ctrl-C.
        notes: What else to say.
    """

    runs: Sequence[RunResult]
    summary: Summary
    tables: Sequence[CellTable]
    skipped: dict[str, str]
    interrupted: bool
    notes: list[str] = field(default_factory=list)


def race(programme: Programme, folder: Path, *, jobs: int, again: Sequence[str] = ()) -> RaceEnd:
    """Make the runs of a programme that the folder does not have yet, and write its files.

    Args:
        programme: Who runs where.
        folder: Output folder. What an earlier call left there is not run again.
        jobs: Processes.
        again: Competitors whose earlier runs are forgotten.

    Raises:
        SettingsError: A name or a number cannot be used, or nobody is left to race.
        DataError: The folder holds something else.
    """
    check_names([*programme.competitors, *again])
    _check_numbers(programme, jobs)
    skipped = {n: reason for n in programme.competitors if (reason := skip_reason(n))}
    tasks = [task for task in programme.tasks() if task.competitor not in skipped]
    if not tasks:
        raise SettingsError(
            f"There is nothing to run: {_reasons(skipped) or 'no landscape was named'}.",
            "Name other --competitors, --families or a --landscape.",
        )
    store = RunStore(folder, again)
    interrupted = _run_missing(tasks, store, jobs)
    runs = store.runs(task.key for task in _in_order(tasks, programme))
    summary = summarize(runs, marks_within(programme.trials))
    tables = race_tables(summary, programme.trials)
    end = RaceEnd(runs, summary, tables, skipped, interrupted)
    _write(end, programme, folder)
    return end


def _run_missing(tasks: Sequence[Task], store: RunStore, jobs: int) -> bool:
    missing = [task for task in tasks if not store.done(task.key)]
    runs = run_tasks(missing, jobs)
    try:
        with RaceProgress(len(tasks), len(tasks) - len(missing)) as progress:
            for task, run in runs:
                store.add(task.key, run)
                progress.run_done(run)
    except KeyboardInterrupt:
        return True
    finally:
        runs.close()
    return False


def _in_order(tasks: Sequence[Task], programme: Programme) -> list[Task]:
    """As the programme lists sources and competitors, whatever seeds they have."""
    sources = {source: rank for rank, source in enumerate(programme.sources)}
    names = {name: rank for rank, name in enumerate(programme.competitors)}
    return sorted(tasks, key=lambda t: (sources[t.source], names[t.competitor], t.seed))


def _write(end: RaceEnd, programme: Programme, folder: Path) -> None:
    head = {
        "schema_version": SCHEMA_VERSION,
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "settings": {
            "landscapes": [source.key for source in programme.sources],
            "competitors": list(programme.competitors),
            "seeds": programme.seeds,
            "slow_seeds": programme.slow_seeds,
            "trials": programme.trials,
            "images": programme.images,
        },
        "skipped": end.skipped,
        "interrupted": end.interrupted,
        "host": host_facts(),
    }
    results = {**head, "runs": [run.to_json() for run in end.runs]}
    write_whole(folder / RESULTS_FILE, json.dumps(results) + "\n")
    write_whole(
        folder / SUMMARY_FILE, json.dumps({**head, **end.summary.to_json()}, indent=1) + "\n"
    )
    write_whole(folder / TABLES_FILE, markdown(end.tables, end.skipped))
    try:
        draw_race(end.runs, end.summary, programme.trials, folder)
    except MissingExtraError as error:
        end.notes.append(str(error))


def _check_numbers(programme: Programme, jobs: int) -> None:
    for name, value in (
        ("--trials", programme.trials),
        ("--seeds", programme.seeds),
        ("--images", programme.images),
        ("--jobs", jobs),
    ):
        if value < 1:
            raise SettingsError(f"{name} is {value}.", "Give a number from 1.")


def _reasons(skipped: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
