"""Log lines that whoever sends a request cannot forge.

What a client sends gets into messages and tracebacks. Control characters in it would move the
cursor of the terminal that shows the log, or begin a line that looks like one of the server's.
"""

from __future__ import annotations

import logging
from typing import Any

from starlette.types import Scope

from nc_sigopt_strategy.errors import visible

_LONGEST_PATH = 300


def path_for_log(scope: Scope) -> str:
    """A request's path as it came, percent-encoded; without its query, which may hold anything."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
    return raw.partition(b"?")[0].decode("ascii", "backslashreplace")[:_LONGEST_PATH]


class LineFormatter(logging.Formatter):
    """One line per message, and tracebacks indented: only a line's beginning looks like one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, every character of it visible."""
        shown = logging.makeLogRecord({**record.__dict__, "message": visible(record.message)})
        return super().formatMessage(shown)

    def formatException(self, ei: Any) -> str:
        """A traceback whose lines cannot be taken for others."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"  | {visible(line)}" for line in lines)
