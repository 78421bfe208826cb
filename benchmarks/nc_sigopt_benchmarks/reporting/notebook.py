"""A comparison shown in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.reporting.html import REPORT_FILE
from nc_sigopt_benchmarks.reporting.tables import comparison_tables
from nc_sigopt_strategy.console.notebook_cell import ipython_display, plain


def show(comparison: Comparison, folder: Path) -> None:
    """Display a comparison below the cell: its tables, what they say, its pictures.

    Args:
        comparison: What was found.
        folder: The run folder; every PNG file directly in it is displayed, by name.

    Raises:
        MissingExtraError: IPython is not installed.
    """
    display = ipython_display()
    for table in comparison_tables(comparison):
        display.display(table)
    if comparison.verdicts:
        display.display(_list(comparison.verdicts), raw=True)
    for path in sorted(folder.glob("*.png")):
        display.display(display.Image(filename=str(path)))
    if (folder / REPORT_FILE).is_file():
        display.display(plain(f"The same on one page: {folder / REPORT_FILE}"), raw=True)


def _list(sentences: Iterable[str]) -> dict[str, str]:
    """Sentences as a list: HTML where a front end can show it, text where it cannot."""
    sentences = list(sentences)
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return {
        "text/plain": "\n".join(f"- {sentence}" for sentence in sentences),
        "text/html": f"<ul>{items}</ul>",
    }
