"""The tables of a race as text cells, for the terminal and for Markdown alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nc_sigopt_benchmarks.research.racing.summary import ALL, GROUPS, Standing, Summary

NOTHING = "–"
NO_WINNER = "none"


@dataclass(frozen=True)
class Cell:
    """A text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class CellTable:
    """A titled table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


MEANINGS = (
    "A ratio is the winner's latency over the optimum's, both true; the median over the runs.",
    "wrong, or in brackets: the share of runs whose winner truly misses the bound by more than "
    "the standard deviation of a measured accuracy; below: by however little. Such a "
    "winner may be faster than the optimum.",
    "if right: the median with those runs counted as runs without a winner; the best of a column "
    "(*) has the least of these. none: the share of runs without a winner.",
    "s, 95 % s: seconds per suggestion, median and 95th percentile.",
)


def race_tables(summary: Summary, trials: int) -> list[CellTable]:
    """Three tables for each group that has runs: by family, by trials, and the end in detail.

    Args:
        summary: Of the race.
        trials: The budget.
    """
    tables = []
    for group in GROUPS:
        if not summary.families(group):
            continue
        families = [*summary.families(group), ALL]
        marks = sorted({s.trials for s in summary.standings})
        tables += [
            _medians(
                f"{group}: after {trials} trials",
                {family: summary.of(group, family, trials) for family in families},
            ),
            _medians(
                f"{group}: all families, by trials",
                {str(mark): summary.of(group, ALL, mark) for mark in marks},
            ),
            _end(f"{group}: all families after {trials} trials", summary, group, trials),
        ]
    return tables


def _medians(title: str, columns: Mapping[str, Sequence[Standing]]) -> CellTable:
    """A row per competitor: its median ratio in each column."""
    by_name = [{s.competitor: s for s in standings} for standings in columns.values()]
    best = [min(s.median_if_right for s in standings) for standings in columns.values()]
    rows = []
    for competitor in by_name[-1]:
        cells = [
            _median_cell(column.get(competitor), least)
            for column, least in zip(by_name, best, strict=True)
        ]
        rows.append((Cell(competitor), *cells))
    return CellTable(title, ("competitor", *columns), tuple(rows))


def _end(title: str, summary: Summary, group: str, trials: int) -> CellTable:
    standings = summary.of(group, ALL, trials)
    least = min(standing.median_if_right for standing in standings)
    rows = []
    for standing in standings:
        pace = summary.pace(group, standing.competitor)
        cells = (
            Cell(standing.competitor),
            Cell(str(standing.runs)),
            Cell(ratio_text(standing.quartiles[0])),
            Cell(ratio_text(standing.median)),
            Cell(ratio_text(standing.quartiles[1])),
            Cell(ratio_text(standing.median_if_right), _is_best(standing, least)),
            Cell(f"{standing.wrong:.0%}"),
            Cell(f"{standing.below:.0%}"),
            Cell(f"{standing.no_winner:.0%}"),
            Cell(f"{pace.median:.3f}" if pace else NOTHING),
            Cell(f"{pace.percentile_95:.3f}" if pace else NOTHING),
        )
        rows.append(cells)
    names = (
        *("competitor", "runs", "25 %", "median", "75 %", "if right"),
        *("wrong", "below", "none", "s", "95 % s"),
    )
    return CellTable(title, names, tuple(rows))


def ratio_text(ratio: float) -> str:
    """Three decimals; ``none`` where it is infinite."""
    return f"{ratio:.3f}" if math.isfinite(ratio) else NO_WINNER


def _median_cell(standing: Standing | None, least: float) -> Cell:
    if standing is None:
        return Cell(NOTHING)
    wrong = f" ({standing.wrong:.0%})" if standing.wrong else ""
    return Cell(ratio_text(standing.median) + wrong, _is_best(standing, least))


def _is_best(standing: Standing, least: float) -> bool:
    return math.isfinite(least) and standing.median_if_right == least
