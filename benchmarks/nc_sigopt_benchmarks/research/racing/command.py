"""``nc-sigopt race`` from its options to its exit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from nc_sigopt_benchmarks.machine.facts import usable_cores
from nc_sigopt_benchmarks.research.racing.competitors import COMPETITORS
from nc_sigopt_benchmarks.research.racing.drawing import print_tables
from nc_sigopt_benchmarks.research.racing.race import RaceEnd, race
from nc_sigopt_benchmarks.research.racing.sources import Source, families, files, shipped
from nc_sigopt_benchmarks.research.racing.tasks import Programme

_NONE = "none"


def run_race(options: Mapping[str, Any], console: Console) -> tuple[RaceEnd, Path]:
    """Run what the options ask for and print the tables.

    Args:
        options: The command's, by parameter name.
        console: For the tables.

    Returns:
        The race and its folder.

    Raises:
        SettingsError: An option cannot be used.
    """
    names, paths = _listed(options["families"]), list(options["landscape"])
    synthetic = () if names == [_NONE] else families(names)
    recorded: tuple[Source, ...] = ()
    if paths != [_NONE]:
        recorded = files(paths) if paths else shipped()
    programme = Programme(
        sources=(*synthetic, *recorded),
        competitors=tuple(dict.fromkeys(_listed(options["competitors"]))) or COMPETITORS,
        seeds=options["seeds"],
        slow_seeds=options["slow_seeds"],
        slow_sources=frozenset(_listed(options["slow_families"])),
        trials=options["trials"],
        images=options["images"],
    )
    folder = options["output"] or Path("runs") / time.strftime("race-%Y%m%d-%H%M%S")
    jobs = options["jobs"] or usable_cores()
    end = race(programme, folder, jobs=jobs, again=_listed(options["again"]))
    print_tables(end.tables, console)
    for name, reason in end.skipped.items():
        console.print(f"- {name} did not race: {reason}.")
    for run in end.summary.broken_off:
        console.print(
            f"- {run.competitor} broke off on {run.landscape}, seed {run.seed}: {run.error}",
            markup=False,
        )
    for note in end.notes:
        console.print(f"- {note}", markup=False)
    return end, folder


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
