"""A comparison's tables, drawn for the terminal; the page shows the same rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.reporting.judged_tables import front_table, held_out_table, metric_tables
from nc_sigopt_benchmarks.reporting.published import published_table
from nc_sigopt_benchmarks.reporting.result_table import COLUMN_MEANINGS, result_table
from nc_sigopt_benchmarks.reporting.runtime_table import runtime_table
from nc_sigopt_benchmarks.reporting.search_tables import (
    repeats_table,
    resource_table,
    search_table,
)
from nc_sigopt_benchmarks.reporting.summary import strategy_notes
from nc_sigopt_benchmarks.reporting.table_data import ReportTable, Row

__all__ = [
    "COLUMN_MEANINGS",
    "Row",
    "comparison_rows",
    "comparison_table",
    "comparison_tables",
    "report_tables",
]
_ROW_STYLES = {True: "bold green", False: "yellow", None: "dim"}
# A label beyond this is broken where it reads best, so that the columns of figures fit beside it.
_LABEL_WIDTH = 11


def report_tables(comparison: Comparison) -> list[ReportTable]:
    """The tables that have rows, the results first."""
    tables = [
        _first_table(comparison),
        repeats_table(comparison).without_empty_columns(),
        search_table(comparison),
        resource_table(comparison),
        held_out_table(comparison),
        *metric_tables(comparison),
        front_table(comparison),
        None if comparison.runtimes else published_table(comparison),
    ]
    return [table for table in tables if table is not None and table.rows]


def _first_table(comparison: Comparison) -> ReportTable:
    if comparison.runtimes:
        return runtime_table(comparison).without_empty_columns()
    return result_table(comparison).without_empty_columns(_ALWAYS)


# Without "over basic", which not every comparison has.
_ALWAYS = frozenset(COLUMN_MEANINGS) - {"over basic"}


def comparison_rows(comparison: Comparison) -> list[Row]:
    """The rows of the results table, cells as ``COLUMN_MEANINGS``: references, then strategies."""
    return list(result_table(comparison).rows)


def comparison_table(comparison: Comparison) -> Table:
    """The results table for the terminal."""
    return _drawn(
        _first_table(comparison),
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
