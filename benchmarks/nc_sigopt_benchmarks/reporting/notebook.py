"""A comparison shown in a notebook, and the one output in which its progress is redrawn."""

from __future__ import annotations

import contextvars
import html
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.reporting.comparison import Comparison
from nc_sigopt_benchmarks.reporting.html import REPORT_FILE
from nc_sigopt_benchmarks.reporting.tables import comparison_tables
from nc_sigopt_strategy.errors import MissingExtraError

_REDRAW_SECONDS = 1.0


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    get_shell = getattr(ipython, "get_ipython", None)
    shell = None if get_shell is None else get_shell()
    # Front ends derive their own shells from the kernel's.
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def show(comparison: Comparison, folder: Path) -> None:
    """Display a comparison below the cell: its tables, what they say, its pictures.

    Args:
        comparison: What was found.
        folder: The run folder; every PNG file directly in it is displayed, by name.

    Raises:
        MissingExtraError: IPython is not installed.
    """
    display = _ipython_display()
    for table in comparison_tables(comparison):
        display.display(table)
    if comparison.verdicts:
        display.display(_list(comparison.verdicts), raw=True)
    for path in sorted(folder.glob("*.png")):
        display.display(display.Image(filename=str(path)))
    if (folder / REPORT_FILE).is_file():
        display.display(_plain(f"The same on one page: {folder / REPORT_FILE}"), raw=True)


class LiveText:
    """Lines of text in one output of a notebook's cell, redrawn in place until closed.

    What is displayed goes to the front end through the kernel's own channel, so nothing that
    happens to the descriptors 1 and 2 reaches it, and none of it gets into them.

    Args:
        lines: Called for the text at each redraw, also from another thread.

    Raises:
        MissingExtraError: IPython is not installed.
    """

    def __init__(self, lines: Callable[[], Iterable[str]]) -> None:
        self._lines = lines
        self._shown = self._text()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        display = _ipython_display()
        self._handle = display.display(_plain(self._shown), raw=True, display_id=True)
        # The kernel keeps in the context which cell an output belongs to.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._redraw_until_closed,), daemon=True
        )
        self._thread.start()

    def redraw(self) -> None:
        """Show the lines as they are now, if they have changed."""
        with self._lock:
            text = self._text()
            if text != self._shown:
                self._handle.update(_plain(text), raw=True)
                self._shown = text

    def close(self) -> None:
        """Show the lines a last time; the output stays."""
        self._closed.set()
        self._thread.join()
        self.redraw()

    def _text(self) -> str:
        return "\n".join(self._lines())

    def _redraw_until_closed(self) -> None:
        while not self._closed.wait(_REDRAW_SECONDS):
            self.redraw()


def _plain(text: str) -> dict[str, str]:
    return {"text/plain": text}


def _list(sentences: Iterable[str]) -> dict[str, str]:
    """Sentences as a list: HTML where a front end can show it, text where it cannot."""
    sentences = list(sentences)
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return {
        "text/plain": "\n".join(f"- {sentence}" for sentence in sentences),
        "text/html": f"<ul>{items}</ul>",
    }


def _ipython_display() -> Any:
    try:
        import IPython.display
    except ImportError as error:
        raise MissingExtraError(
            f"Showing things in a notebook needs IPython, which cannot be imported: {error}.",
            "Install it with: pip install 'nc_sigopt_strategy[notebook]'",
        ) from error
    return IPython.display
