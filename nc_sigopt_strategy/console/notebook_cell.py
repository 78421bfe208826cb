"""One output of a notebook's cell, in which text is redrawn in place."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from nc_sigopt_strategy.errors import needed

_REDRAW_SECONDS = 1.0


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    get_shell = getattr(ipython, "get_ipython", None)
    shell = None if get_shell is None else get_shell()
    # Front ends derive their own shells from the kernel's.
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


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
        display = ipython_display()
        self._handle = display.display(plain(self._shown), raw=True, display_id=True)
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
                self._handle.update(plain(text), raw=True)
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


def plain(text: str) -> dict[str, str]:
    """Text as an output of a cell."""
    return {"text/plain": text}


def ipython_display() -> Any:
    """IPython's module that shows things below a cell.

    Raises:
        MissingExtraError: IPython is not installed.
    """
    return needed("IPython.display", "ipykernel", what="Showing things in a notebook")
