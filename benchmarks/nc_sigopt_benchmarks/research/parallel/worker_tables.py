"""Tables of what parallel workers cost, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from nc_sigopt_benchmarks.research.parallel.server_tables import markdown
from nc_sigopt_benchmarks.research.parallel.sleeping_worker import Cost
from nc_sigopt_benchmarks.research.parallel.worker_runs import Run, Setting
from nc_sigopt_benchmarks.research.parallel.worse_search import Found

ALL = "all"
# What is compared with a real trial, which takes about so long.
REAL_TRIAL_SECONDS = 3.0


def lost_table(runs: Sequence[Run]) -> str:
    """A row per setting: what a trial cost beside itself, in milliseconds."""
    rows = [
        [
            *("shared through", "parameters", "workers", "trial s", "trials"),
            *("lost ms, median (quartiles)", "p95", "of a 3 s trial"),
            *("ask", "observe", "own CPU", "requests", "their ms", "tries"),
            *("processors busy", "load before"),
        ],
    ]
    for setting in _settings(runs):
        found = [run for run in runs if run.setting == setting]
        costs = [cost for run in found for cost in run.costs]
        low, median, high, p95 = np.percentile([c.lost for c in costs], (25, 50, 75, 95))
        rows.append(
            [
                setting.way,
                str(setting.parameters),
                str(setting.workers),
                f"{setting.trial_seconds:g}",
                str(len(costs)),
                f"{median:.0f} ({low:.0f} to {high:.0f})",
                f"{p95:.0f}",
                f"{0.1 * median / REAL_TRIAL_SECONDS:.1f} %",
                *(f"{_median(costs, part):.0f}" for part in (_ask, _observe, _cpu)),
                f"{_median(costs, lambda cost: cost.requests):.0f}",
                f"{_median(costs, lambda cost: cost.shared):.0f}",
                f"{np.mean([cost.tries for cost in costs]):.2f}",
                f"{np.mean([run.busy for run in found]):.0%}",
                " ".join(f"{run.load:.1f}" for run in found),
            ]
        )
    return markdown(rows)


def complete(found: Sequence[Found]) -> list[Found]:
    """Runs that are not blind, of the landscapes and seeds that every number of workers had."""
    seeing = [item for item in found if not item.blind]
    had: dict[tuple[str, int], set[int]] = {}
    for item in seeing:
        had.setdefault((item.landscape, item.seed), set()).add(item.workers)
    everybody = {item.workers for item in seeing}
    return [item for item in seeing if had[item.landscape, item.seed] == everybody]


def blind_table(found: Sequence[Found]) -> str:
    """Workers that do not see each other's open trials against those that do, same runs.

    Median (quartiles) of the winner's true latency over the optimum's.
    """
    by_key = {(i.landscape, i.seed, i.workers, i.trials, i.blind): i for i in found}
    pairs = [
        (item, other)
        for key, item in by_key.items()
        if item.blind and (other := by_key.get((*key[:-1], False))) is not None
    ]
    rows = [["workers", "trials", "runs", "seeing", "blind", "taken back per trial"]]
    for workers, trials in sorted({(item.workers, item.trials) for item, _ in pairs}):
        cell = [pair for pair in pairs if (pair[0].workers, pair[0].trials) == (workers, trials)]
        budget = max(item.trials for item, _ in pairs)
        taken_back = np.mean([item.taken_back for item, _ in cell]) / budget
        rows.append(
            [
                *(str(workers), str(trials), str(len(cell))),
                *(_ratios([pair[which] for pair in cell]) for which in (1, 0)),
                f"{taken_back:.2f}",
            ]
        )
    return markdown(rows)


def search_table(found: Sequence[Found]) -> str:
    """A row per landscape and number of trials: the winner's latency by number of workers.

    Median (quartiles; wrong verdicts) of the true latency over the optimum's.

    Args:
        found: What ``complete`` gives.
    """
    workers = sorted({item.workers for item in found})
    rows = [["landscape", "trials", *(f"{n} worker{'s' if n > 1 else ''}" for n in workers)]]
    for landscape in [*dict.fromkeys(item.landscape for item in found), ALL]:
        for trials in sorted({item.trials for item in found}):
            row = [landscape, str(trials)]
            for count in workers:
                cell = _of(found, landscape, trials, count)
                row.append(_ratios(cell))
            rows.append(row)
    return markdown(rows)


def pace_table(found: Sequence[Found]) -> str:
    """Virtual seconds for a budget by number of workers, and how much sooner it is used up."""
    workers = sorted({item.workers for item in found})
    rows = [["trials", *(f"{count}" for count in workers)]]
    for trials in sorted({item.trials for item in found}):
        seconds = [np.median([i.seconds for i in _of(found, ALL, trials, n)]) for n in workers]
        rows.append([str(trials), *(f"{s:.0f} s ({seconds[0] / s:.1f})" for s in seconds)])
    return markdown(rows)


def paired_table(found: Sequence[Found]) -> str:
    """How much slower the winner is than the sequential run's of the same landscape and seed.

    Median (quartiles) of the two latencies' ratio, runs without a winner left out.
    """
    workers = sorted({item.workers for item in found} - {1})
    alone = {(i.landscape, i.seed, i.trials): i.ratio for i in found if i.workers == 1}
    rows = [["trials", *(f"{count} workers" for count in workers)]]
    for trials in sorted({item.trials for item in found}):
        row = [str(trials)]
        for count in workers:
            ratios = [
                item.ratio / one
                for item in _of(found, ALL, trials, count)
                if item.ratio is not None
                and (one := alone.get((item.landscape, item.seed, trials))) is not None
            ]
            low, median, high = np.percentile(ratios, (25, 50, 75))
            row.append(f"{median:.3f} ({low:.3f} to {high:.3f})")
        rows.append(row)
    return markdown(rows)


def _settings(runs: Sequence[Run]) -> list[Setting]:
    return sorted(
        {run.setting for run in runs},
        key=lambda s: (s.way, s.parameters, s.trial_seconds, s.workers),
    )


def _median(costs: Sequence[Cost], part: Callable[[Cost], float]) -> float:
    return float(np.median([part(cost) for cost in costs]))


def _ask(cost: Cost) -> float:
    return cost.ask


def _observe(cost: Cost) -> float:
    return cost.observe


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _of(found: Sequence[Found], landscape: str, trials: int, workers: int) -> list[Found]:
    return [
        item
        for item in found
        if landscape in (ALL, item.landscape) and item.trials == trials and item.workers == workers
    ]


def _ratios(cell: Sequence[Found]) -> str:
    low, median, high = np.percentile(
        [_ratio(item) for item in cell], (25, 50, 75), method="nearest"
    )
    wrong = sum(item.wrong for item in cell) / len(cell)
    return f"{median:.3f} ({low:.3f} to {high:.3f}; {wrong:.0%})"


def _ratio(item: Found) -> float:
    return math.inf if item.ratio is None else item.ratio
