"""The tables of a race on the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nc_sigopt_benchmarks.research.racing.cells import MEANINGS, CellTable


def print_tables(tables: Sequence[CellTable], console: Console) -> None:
    """Draw them one below the other; an asterisk marks the best of a column."""
    for table in tables:
        drawn = Table(
            title=table.title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0)
        )
        drawn.add_column(table.columns[0], no_wrap=True)
        for column in table.columns[1:]:
            drawn.add_column(column, justify="right")
        for row in table.rows:
            drawn.add_row(
                *(Text(f"{c.text}*", "bold green") if c.best else Text(c.text) for c in row)
            )
        console.print(drawn)
    for sentence in MEANINGS:
        console.print(f"- {sentence}", highlight=False)


def markdown(tables: Sequence[CellTable], skipped: Mapping[str, str]) -> str:
    """The same as a Markdown document.

    Args:
        tables: What ``race_tables`` made.
        skipped: Competitor to the reason why it did not race.
    """
    parts = ["# Race\n"]
    for table in tables:
        lines = [f"## {table.title}\n", _line(table.columns)]
        lines.append(_line(["---", *["---:"] * (len(table.columns) - 1)]))
        lines.extend(_line([f"**{c.text}**" if c.best else c.text for c in r]) for r in table.rows)
        parts.append("\n".join(lines) + "\n")
    parts.append("\n".join(f"- {sentence}" for sentence in MEANINGS) + "\n")
    parts.extend(f"- {name} did not race: {reason}.\n" for name, reason in skipped.items())
    return "\n".join(parts)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
