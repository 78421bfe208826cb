"""Keeping what TensorFlow's native code prints away from the terminal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def native_output_in(path: Path | None) -> Iterator[None]:
    """Point file descriptor 2 at the end of a file, or at nothing.

    TensorFlow prints a few lines before it has read its own log level. Python's exceptions are not
    affected: they pass through here and are shown by whoever catches them.

    Args:
        path: Gets the output; ``None`` drops it.
    """
    target = os.open(path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        kept = os.dup(2)
    except OSError:  # there is no descriptor 2 to keep quiet
        os.close(target)
        yield
        return
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(target)
