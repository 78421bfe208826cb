"""How long suggest and observe take through ``nc-sigopt serve``, and what of it is the store's.

    python benchmarks/scripts/server_speed.py [--quick] [--output FOLDER]
    python benchmarks/scripts/server_speed.py --show FOLDER

SigOpt's own client in 1 and 16 processes, a server process on SQLite or PostgreSQL, experiments
of 60 categorical parameters that hold 0, 1,000 or 10,000 observations. The clients ask again as
soon as they are answered. The server says in ``Server-Timing`` what of a request was the
sampler's time and what the store's; ``rest`` is HTTP, JSON and the client. About 20 minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.parallel.postgresql import PostgreSQL
from nc_sigopt_benchmarks.research.parallel.server_tables import (
    growth_table,
    pace_table,
    percentile_table,
)
from nc_sigopt_benchmarks.research.parallel.server_visits import Plan, Visit, read_visits, visits
from nc_sigopt_benchmarks.research.parallel.stores import POSTGRESQL, SQLITE, Stores
from nc_sigopt_benchmarks.research.parallel.timed_client import OBSERVE, SUGGEST
from nc_sigopt_benchmarks.research.parallel.workload import Workload
from nc_sigopt_strategy.files import write_whole

VISITS_FILE, TABLES_FILE, HOST_FILE = "visits.jsonl", "tables.md", "host.json"
FULL = Plan(
    storages=(SQLITE, POSTGRESQL),
    samplers=("quantization", "random"),
    observations=(0, 1_000, 10_000),
    clients=(1, 16),
    parameters=60,
    repeats=3,
    rounds=192,
    seconds=8.0,
)
QUICK = Plan(
    storages=(SQLITE, POSTGRESQL),
    samplers=("quantization", "random"),
    observations=(0, 200),
    clients=(1, 4),
    parameters=30,
    repeats=2,
    rounds=12,
    seconds=2.0,
)


def main(plan: Plan, output: Path) -> None:
    """Visit all cells, and write samples and tables."""
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / HOST_FILE, json.dumps(host_facts(), indent=1) + "\n")
    workload = Workload(plan.parameters)
    with ExitStack() as stack, (output / VISITS_FILE).open("w") as file:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=output)))
        postgresql = stack.enter_context(PostgreSQL()) if POSTGRESQL in plan.storages else None
        stores = Stores(folder, postgresql, workload)
        for storage in plan.storages:
            median, high = stores.bare_commit(storage)
            print(f"{storage}: a bare commit takes {median:.1f} ms (95 %: {high:.1f})", flush=True)
            for observations in plan.observations:
                begun = time.monotonic()
                stores.fill(storage, observations)
                seconds = time.monotonic() - begun
                print(f"{storage}: {observations:,} observations in {seconds:.0f} s", flush=True)
        for visit in visits(plan, stores):
            file.write(json.dumps(visit.to_json()) + "\n")
            file.flush()
            print(_line(visit), flush=True)
    show(output)


def show(folder: Path) -> None:
    """Make the tables anew from the samples of a folder."""
    found = read_visits(folder / VISITS_FILE)
    parts = [f"## {verb}, ms, p50 / p95 / p99\n\n{percentile_table(found, verb)}"
             for verb in (SUGGEST, OBSERVE)]  # fmt: skip
    parts.append(f"## The store's share, ms, p50 / p95 (p95 by repeat)\n\n{growth_table(found)}")
    parts.append(f"## Pace\n\n{pace_table(found)}")
    text = "\n\n".join(parts) + "\n"
    write_whole(folder / TABLES_FILE, text)
    print(text)


def _line(visit: Visit) -> str:
    cell, rounds = visit.cell, len(visit.samples) // 2
    return (
        f"{visit.repeat}: {cell.storage}, {cell.sampler}, {cell.observations:,} held, "
        f"{cell.clients} clients: {rounds / visit.seconds:.1f} rounds/s, load {visit.load:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: tries the script")
    parser.add_argument("--repeats", type=int, help="visits per cell")
    parser.add_argument("--seconds", type=float, help="after which a visit ends")
    parser.add_argument("--output", type=Path, default=Path("runs/server_speed"))
    parser.add_argument("--show", type=Path, metavar="FOLDER", help="only print its tables")
    given = parser.parse_args()
    # So that servers and databases are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if given.show is not None:
        show(given.show)
    else:
        chosen = QUICK if given.quick else FULL
        if given.repeats is not None:
            chosen = dataclasses.replace(chosen, repeats=given.repeats)
        if given.seconds is not None:
            chosen = dataclasses.replace(chosen, seconds=given.seconds)
        main(chosen, given.output)
