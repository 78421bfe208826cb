"""What it costs that several workers tune the same model.

    python benchmarks/scripts/parallel_workers.py time [--quick] [--output FOLDER]
    python benchmarks/scripts/parallel_workers.py search [--quick] [--seeds N] [--output FOLDER]
    python benchmarks/scripts/parallel_workers.py show FOLDER

``time``: what a trial costs its worker beside itself, with 1 to 64 worker processes on one
experiment. A trial is a sleep, its values are computed. All processes run on this machine, as do
the database and the server. About 25 minutes.

``search``: what the same number of trials finds when 1 to 16 workers share them, on the landscapes
of ``nc-sigopt race``, in virtual time. About 45 minutes on one core; a folder that is there is
continued.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.parallel.sleeping_worker import (
    DATABASE,
    RECORDING,
    SUGGESTING,
    WAYS,
)
from nc_sigopt_benchmarks.research.parallel.worker_runs import RunPlan, Setting, read_runs, runs
from nc_sigopt_benchmarks.research.parallel.worker_tables import (
    blind_table,
    complete,
    lost_table,
    pace_table,
    paired_table,
    search_table,
)
from nc_sigopt_benchmarks.research.parallel.worse_search import cases_of, read_found, run_cases
from nc_sigopt_benchmarks.research.racing.sources import families, shipped
from nc_sigopt_strategy.files import write_whole

RUNS_FILE, SEARCH_FILE = "runs.jsonl", "search.jsonl"
WORKERS = (1, 2, 4, 8, 16, 32, 64)
SEARCHERS, BLIND = (1, 2, 4, 8, 16), (4, 16)
MARKS = (20, 40, 100)
# One numeric thread per process: there are more of them than processors.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure_time(output: Path, *, quick: bool) -> None:
    """Run the worker processes, and write what each trial cost."""
    settings = [
        *(
            Setting(way, 60, n, _trial_seconds(n))
            for way in (DATABASE, RECORDING)
            for n in WORKERS
        ),
        *(Setting(SUGGESTING, 60, n, _trial_seconds(n)) for n in (1, 8, 32)),
        *(Setting(DATABASE, 30, n, _trial_seconds(n)) for n in (1, 8)),
    ]
    plan = RunPlan(settings, repeats=1, seconds=18.0)
    if quick:
        few = [Setting(way, 30, workers, 0.5) for way in WAYS for workers in (1, 3)]
        plan = RunPlan(few, repeats=1, seconds=2.0)
    with (output / RUNS_FILE).open("w") as file:
        for run in runs(plan):
            file.write(json.dumps(run.to_json()) + "\n")
            file.flush()
            said = run.error or f"{len(run.costs)} trials, {run.busy:.0%} busy"
            print(f"{run.setting}: {said}", flush=True)


def _trial_seconds(workers: int) -> float:
    """How long a trial is, so that at most two workers a second ask.

    In reality each has a machine of its own; here all their samplers share this one.
    """
    return max(3.0, workers / 2)


def search(output: Path, *, quick: bool, seeds: int, jobs: int, keys: Sequence[str]) -> None:
    """Make the runs on landscapes that the folder does not have yet."""
    sources = [s for s in (*families(()), *shipped()) if not keys or s.key in keys]
    cases, marks = cases_of(sources, seeds, SEARCHERS, max(MARKS), blind=BLIND), MARKS
    if quick:
        cases, marks = cases_of(families(["chain"]), 2, (1, 4), 20), (10, 20)
    for case, _ in run_cases(cases, marks, output / SEARCH_FILE, jobs):
        print(case.key, flush=True)


def show(output: Path) -> None:
    """Print the tables of a folder, as Markdown."""
    if (output / RUNS_FILE).exists():
        print("## Time lost per trial\n")
        print(lost_table([r for r in read_runs(output / RUNS_FILE) if r.costs]), end="\n\n")
    if (output / SEARCH_FILE).exists():
        all_found = read_found(output / SEARCH_FILE)
        found = complete(all_found)
        runs_each = len({(item.landscape, item.seed) for item in found})
        print(f"{runs_each} runs for every number of workers.\n")
        print("## Winner's latency over the optimum's\n")
        print(search_table(found), end="\n\n")
        print("## Winner's latency over that of the sequential run\n")
        print(paired_table(found), end="\n\n")
        print("## Virtual time of a budget (how much sooner)\n")
        print(pace_table(found), end="\n\n")
        print("## Without seeing what others have open\n")
        print(blind_table(all_found))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("time", "search", "show"))
    parser.add_argument("folder", nargs="?", type=Path, help="of show")
    parser.add_argument("--output", type=Path, default=Path("runs/parallel_workers"))
    parser.add_argument("--quick", action="store_true", help="small sizes: tries the script")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="processes of search")
    parser.add_argument(
        "--landscape", action="append", default=[], help="only this one, such as chain; repeatable"
    )
    given = parser.parse_args()
    # So that servers and databases are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.update(dict.fromkeys(THREADS, "1"))
    output: Path = given.folder or given.output
    if given.what != "show":
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / "host.json", json.dumps(host_facts(), indent=1) + "\n")
    if given.what == "time":
        measure_time(output, quick=given.quick)
    elif given.what == "search":
        search(output, quick=given.quick, seeds=given.seeds, jobs=given.jobs, keys=given.landscape)
    show(output)


if __name__ == "__main__":
    main()
