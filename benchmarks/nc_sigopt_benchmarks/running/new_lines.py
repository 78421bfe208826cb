"""What is added to a text file while another process writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nc_sigopt_strategy.errors import visible


class NewLines:
    """The lines that a file gets from now on; a context manager, which shows the last of them.

    Args:
        path: The file; it is there.
        show: Gets each line, with what could move a terminal's cursor made visible.
    """

    def __init__(self, path: Path, show: Callable[[str], None]) -> None:
        self._stream = path.open("rb")
        self._stream.seek(0, 2)
        self._show = show
        self._begun = b""

    def __enter__(self) -> NewLines:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.show()
        if self._begun:
            self._tell(self._begun)
        self._stream.close()

    def show(self) -> None:
        """Show the lines that have come since; one that is still being written comes later."""
        *whole, self._begun = (self._begun + self._stream.read()).split(b"\n")
        for line in whole:
            self._tell(line)

    def _tell(self, line: bytes) -> None:
        self._show(visible(line.decode("utf-8", errors="replace").rstrip("\r")))
