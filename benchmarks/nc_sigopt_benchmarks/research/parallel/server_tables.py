"""Tables of a server's times, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nc_sigopt_benchmarks.research.parallel.server_visits import Cell, Visit
from nc_sigopt_benchmarks.research.parallel.timed_client import OBSERVE, REST, SUGGEST, Sample

TOTAL = "total"
# The store's share, as the server names it.
STORE = "store"
PERCENTILES = (50, 95, 99)


def share_names(visits: Sequence[Visit]) -> list[str]:
    """The parts of a round trip, as they appear, ``rest`` and ``total`` last."""
    named = dict.fromkeys(n for v in visits for s in v.samples for n in s.shares if n != REST)
    return [*named, REST, TOTAL]


def percentile_table(visits: Sequence[Visit], verb: str) -> str:
    """A row per cell: p50 / p95 / p99 of each share in milliseconds, over all repeats."""
    names = share_names(visits)
    rows = [["store", "sampler", "held", "clients", "requests", *names]]
    for cell in _cells(visits):
        samples = _samples(visits, cell, verb)
        times = [
            " / ".join(f"{value:.3g}" for value in np.percentile(_of(samples, name), PERCENTILES))
            for name in names
        ]
        rows.append([*_head(cell), str(len(samples)), *times])
    return markdown(rows)


def growth_table(visits: Sequence[Visit]) -> str:
    """The store's share by observations held: median / p95 (range of p95 over repeats), growth."""
    held = sorted({visit.cell.observations for visit in visits})
    rows = [["store", "sampler", "clients", "verb", *(f"{n:,}" for n in held), "growth"]]
    for storage, sampler, clients in dict.fromkeys(
        (c.storage, c.sampler, c.clients) for c in _cells(visits)
    ):
        for verb in (SUGGEST, OBSERVE):
            cells = [Cell(storage, sampler, count, clients) for count in held]
            found = [_of(_samples(visits, cell, verb), STORE) for cell in cells]
            p95 = [float(np.percentile(times, 95)) if times else float("nan") for times in found]
            p50 = [float(np.median(times)) if times else float("nan") for times in found]
            texts = [
                f"{middle:.3g} / {value:.3g} ({_spread(visits, cell, verb)})"
                if times
                else "not run"
                for middle, value, cell, times in zip(p50, p95, cells, found, strict=True)
            ]
            growth = f"{p50[-1] / p50[0]:.2f} / {p95[-1] / p95[0]:.2f}"
            rows.append([storage, sampler, str(clients), verb, *texts, growth])
    return markdown(rows)


def pace_table(visits: Sequence[Visit]) -> str:
    """Suggestions and observations per second, the server's processor time, the machine's load."""
    rows = [
        ["store", "sampler", "held", "clients", "rounds/s", "server's CPU ms/round",
         "first suggestion after start, ms", "load"],
    ]  # fmt: skip
    for cell in _cells(visits):
        found = [visit for visit in visits if visit.cell == cell]
        rounds = sum(sum(s.verb == OBSERVE for s in visit.samples) for visit in found)
        firsts = [visit.first_ms for visit in found if visit.first_ms is not None]
        loads = [visit.load for visit in found]
        rows.append(
            [
                *_head(cell),
                f"{rounds / sum(visit.seconds for visit in found):.1f}",
                f"{1e3 * sum(visit.server_cpu for visit in found) / rounds:.0f}",
                f"{np.median(firsts):.0f}" if firsts else "",
                f"{min(loads):.1f} to {max(loads):.1f}",
            ]
        )
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row its heading."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(visits: Sequence[Visit], cell: Cell, verb: str) -> str:
    by_repeat = [
        np.percentile(_of([s for s in visit.samples if s.verb == verb], STORE), 95)
        for visit in visits
        if visit.cell == cell
    ]
    return f"{min(by_repeat):.3g} to {max(by_repeat):.3g}"


def _cells(visits: Sequence[Visit]) -> list[Cell]:
    cells = {visit.cell for visit in visits}
    return sorted(cells, key=lambda c: (c.storage, c.sampler, c.clients, c.observations))


def _samples(visits: Sequence[Visit], cell: Cell, verb: str) -> list[Sample]:
    return [s for visit in visits if visit.cell == cell for s in visit.samples if s.verb == verb]


def _of(samples: Sequence[Sample], name: str) -> list[float]:
    if name == TOTAL:
        return [sample.total for sample in samples]
    return [sample.shares.get(name, 0.0) for sample in samples]


def _head(cell: Cell) -> list[str]:
    return [cell.storage, cell.sampler, f"{cell.observations:,}", str(cell.clients)]
