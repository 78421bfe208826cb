"""What a run costs beside its trials: memory per trial, open files, the engine's share.

    nc-sigopt compare configs/run_costs.yaml
    python benchmarks/scripts/run_costs.py runs/run_costs-<date>

Reads the ``events.jsonl`` (one line per evaluation, with the process's memory) and
``trials.jsonl`` of every strategy in a run folder of ``nc-sigopt compare``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from nc_sigopt_strategy.jobs.evaluation import EVENTS_FILE, read_events
from nc_sigopt_strategy.results.run_files import TRIALS_FILE, read_trials

# Before this trial, caches fill; what a long run costs shows after it.
FIRST_TRIAL = 20
ENGINE_PHASES = ("suggest", "observe")


def main(folder: Path) -> None:
    """Print one row per strategy."""
    table = Table("strategy", "trials", "trials/min", "memory slope (MiB/trial)",
                  "peak (MiB)", "open files, first to last", "engine's share")  # fmt: skip
    for path in sorted(folder.glob(f"*/{EVENTS_FILE}")):
        events = [event for event in read_events(path.parent) if event["trial"] > 0]
        if len(events) < 2:
            continue
        late = [event for event in events if event["trial"] >= FIRST_TRIAL]
        memory = np.array([event["resident_bytes"] for event in events]) / 2**20
        minutes = (events[-1]["ended_seconds"] - events[0]["started_seconds"]) / 60
        table.add_row(
            path.parent.name,
            str(len(events)),
            f"{len(events) / minutes:.1f}",
            _slope(late) if len(late) > 2 else "too few trials",
            f"{memory.max():.0f}",
            f"{events[0]['open_files']} to {events[-1]['open_files']}",
            _engine_share(path.parent),
        )
    Console(width=140, markup=False, highlight=False, emoji=False).print(table)


def _slope(events: list[dict[str, float]]) -> str:
    numbers = [event["trial"] for event in events]
    memory = np.array([event["resident_bytes"] for event in events]) / 2**20
    (slope, _), covariance = np.polyfit(numbers, memory, 1, cov=True)
    return f"{slope:.2f} ± {1.96 * np.sqrt(covariance[0, 0]):.2f}"


def _engine_share(folder: Path) -> str:
    if not (folder / TRIALS_FILE).exists():
        return "-"
    shares = []
    for trial in read_trials(folder):
        whole = trial.ended_seconds - trial.started_seconds
        engine = sum(trial.phase_seconds.get(phase, 0.0) for phase in ENGINE_PHASES)
        if "suggest" in trial.phase_seconds and trial.duplicate_of is None and whole > 0:
            shares.append(100 * engine / whole)
    if not shares:
        return "-"
    return f"{np.median(shares):.2f} % (90th percentile {np.percentile(shares, 90):.2f} %)"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit(f"usage: {sys.argv[0]} RUN_FOLDER")
    main(Path(sys.argv[1]))
