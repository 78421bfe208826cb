"""A comparison's tables, drawn for the terminal; the page shows the same rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from nc_sigopt_benchmarks.reporting.cells import accuracy_text, seconds_text
from nc_sigopt_benchmarks.reporting.comparison import Comparison
from nc_sigopt_benchmarks.reporting.judged_tables import front_table, held_out_table, metric_tables
from nc_sigopt_benchmarks.reporting.published import published_table
from nc_sigopt_benchmarks.reporting.result_table import COLUMN_MEANINGS, result_table
from nc_sigopt_benchmarks.reporting.search_tables import (
    repeats_table,
    resource_table,
    search_table,
)
from nc_sigopt_benchmarks.reporting.summary import strategy_notes
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row
from nc_sigopt_strategy.results.outcome import Outcome

__all__ = [
    "COLUMN_MEANINGS",
    "Row",
    "calibration_text",
    "comparison_rows",
    "comparison_table",
    "comparison_tables",
    "outcome_table",
    "report_tables",
    "table_console",
]
# Where nobody's window bounds it (a file, a CI log), tables get the width they look best in.
_WIDTH_OUTSIDE_TERMINALS = 100
_ROW_STYLES = {True: "bold green", False: "yellow", None: "dim"}
# A label beyond this is broken where it reads best, so that the columns of figures fit beside it.
_LABEL_WIDTH = 11


def report_tables(comparison: Comparison) -> list[ReportTable]:
    """The tables that have rows, the results first."""
    tables = [
        result_table(comparison).without_empty_columns(_ALWAYS),
        repeats_table(comparison).without_empty_columns(),
        search_table(comparison),
        resource_table(comparison),
        held_out_table(comparison),
        *metric_tables(comparison),
        front_table(comparison),
        published_table(comparison),
    ]
    return [table for table in tables if table is not None and table.rows]


# Without "over basic", which not every comparison has.
_ALWAYS = frozenset(COLUMN_MEANINGS) - {"over basic"}


def comparison_rows(comparison: Comparison) -> list[Row]:
    """The rows of the results table, cells as ``COLUMN_MEANINGS``: references, then strategies."""
    return list(result_table(comparison).rows)


def table_console() -> Console:
    """A console on standard output for tables; names and errors are text to it, not markup."""
    width = None if Console().is_terminal else _WIDTH_OUTSIDE_TERMINALS
    return Console(width=width, markup=False, highlight=False, emoji=False)


def comparison_table(comparison: Comparison) -> Table:
    """The results table for the terminal."""
    return _drawn(
        result_table(comparison).without_empty_columns(_ALWAYS),
        [f"{name}: {note}" for name, note in strategy_notes(comparison)],
    )


def comparison_tables(comparison: Comparison) -> list[Table]:
    """All tables of a comparison for the terminal."""
    _, *others = report_tables(comparison)
    return [comparison_table(comparison), *(_drawn(table) for table in others)]


def _drawn(source: ReportTable, more_notes: Sequence[str] = ()) -> Table:
    remarks = [f"{row.cells[0]} {row.remark}" for row in source.rows if row.remark]
    notes = [*remarks, *more_notes, *source.notes]
    table = Table(
        title=Text(source.title),
        title_justify="left",
        caption=Text("\n".join(notes)) if notes else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=0,
    )
    for place, name in enumerate(source.columns):
        justify: JustifyMethod = "right" if place else "left"
        table.add_column(name.replace(" ", "\n"), justify=justify, overflow="fold")
    for row in source.rows:
        label, *figures = row.cells
        cells = [Text(_narrow_label(label)), *(Text(_narrow(figure)) for figure in figures)]
        table.add_row(*cells, style=_ROW_STYLES[row.good])
    return table


def _narrow(cell: str) -> str:
    """Break a cell where it reads best, so that the columns fit into a terminal of 80."""
    for before, after in (
        (" [", "\n"),
        ("nearest ", "nearest\n"),
        ("none in ", "none in\n"),
        ("tied ", "tied\n"),
        (" to ", "\nto "),
    ):
        cell = cell.replace(before, after)
    return cell.rstrip("]")


def _narrow_label(label: str) -> str:
    """Break a long label behind a blank, an underscore or a hyphen."""
    lines = [""]
    for part in re.findall(r"[^ _-]*[ _-]?", label):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > _LABEL_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def outcome_table(outcome: Outcome) -> Table:
    """What one tuning run ended with, as a two-column table."""
    table = Table(
        title=Text(f"strategy {outcome.strategy}"), title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column()
    for name, value in _outcome_rows(outcome):
        table.add_row(name, Text(value))
    return table


def _outcome_rows(outcome: Outcome) -> list[tuple[str, str]]:
    shown = outcome.best or outcome.nearest_miss
    met = f"yes, trial {shown.number}" if outcome.best and shown else "no"
    name = "int8 accuracy" if outcome.best else "nearest accuracy"
    rows = [
        ("met the bound?", met),
        ("FP32 baseline", accuracy_text(outcome.baseline_accuracy)),
        ("accuracy bound", accuracy_text(outcome.accuracy_target)),
        (name, accuracy_text(shown.accuracy if shown else None)),
        ("int8 duration (s)", seconds_text(shown.duration_seconds if shown else None, 2)),
    ]
    latency = shown.latency_seconds if shown else None
    if latency is not None:
        rows.append(("latency (ms)", f"{latency * 1e3:.3g}"))
        if outcome.fp32_latency_seconds:
            rows.append(("speed-up over FP32", f"{outcome.fp32_latency_seconds / latency:.2f}"))
    rows.append(("trials", str(outcome.trials)))
    if outcome.trials_by_worker:
        shares = (f"{worker} {count}" for worker, count in outcome.trials_by_worker.items())
        rows.append(("trials by worker", ", ".join(shares)))
    rows.append(("tuning (s)", seconds_text(outcome.tuning_seconds)))
    rows.append(("ended because", outcome.stop_reason))
    if outcome.calibration is not None:
        rows.append(("calibration", calibration_text(outcome.calibration)))
    if outcome.costliest_ops:
        costs = ", ".join(f"{c.op} ({c.accuracy_cost:+.4f})" for c in outcome.costliest_ops)
        rows.append(("costliest ops in int8", costs))
    return rows


def calibration_text(usage: Mapping[str, Any]) -> str:
    """How often calibration was answered from statistics, and how often not and why."""
    passes = f"{usage['passes']} pass{'' if usage['passes'] == 1 else 'es'} over the data"
    text = f"statistics gathered in {passes}, {usage['seconds']:.1f} s, used {usage['fed']} times"
    left = [f"{count} times by INC itself: {why}" for why, count in usage["stock"].items()]
    return "; ".join([text, *left])
