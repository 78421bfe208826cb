"""Standard error as it leads now, whatever descriptor 2 is pointed at later."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any, cast


def duplicate_of_stderr() -> IO[str]:
    """A text stream on a descriptor of its own that leads to where standard error leads now.

    Where nobody is there any more to read it, a closed terminal or pipe, writing does nothing: a
    run that SIGHUP tells of the terminal's end has files to write.
    """
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        # No descriptor behind sys.stderr (a test's capture): nothing can be redirected under it
        # either, so a plain pass-through will do.
        return cast("IO[str]", _PassThrough())
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    raw = _Forgiving(descriptor, "w")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, errors="replace", line_buffering=raw.isatty()
    )


class _Forgiving(io.FileIO):
    """Takes what it is given also where it cannot be written."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data).cast("B"))


class _PassThrough(io.TextIOBase):
    """Writes to whatever ``sys.stderr`` is; closing it leaves that open."""

    def write(self, text: str) -> int:
        if sys.stderr is not None:
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        if sys.stderr is not None:
            sys.stderr.flush()

    def isatty(self) -> bool:
        return False
