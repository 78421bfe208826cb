"""A table as text, before it is drawn for a terminal or a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from nc_sigopt_strategy.console.cells import NOTHING


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        cells: In the order of the table's columns.
        good: Whether its strategy met the bound; ``None`` for reference rows.
        remark: A sentence for which there is no column.
    """

    cells: tuple[str, ...]
    good: bool | None = None
    remark: str | None = None


@dataclass(frozen=True)
class ReportTable:
    """A table of a report.

    Attributes:
        title: What it shows.
        columns: Name to meaning; the first column names the row.
        rows: In the order in which they are shown.
        notes: Sentences below it.
    """

    title: str
    columns: Mapping[str, str]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def without_empty_columns(self, keep: frozenset[str] = frozenset()) -> ReportTable:
        """The same table less the columns in which no row has anything, but for ``keep``."""
        names = list(self.columns)
        left = [
            place
            for place, name in enumerate(names)
            if name in keep or any(row.cells[place] != NOTHING for row in self.rows)
        ]
        return dataclasses.replace(
            self,
            columns={names[place]: self.columns[names[place]] for place in left},
            rows=tuple(
                dataclasses.replace(row, cells=tuple(row.cells[place] for place in left))
                for row in self.rows
            ),
        )
