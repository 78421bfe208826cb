"""Close and delete the temporary files that INC's calibration forgets."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def reclaimed_temp_files() -> Iterator[None]:
    """Inside, every ``tempfile.mkstemp`` is remembered; at the end it is closed and deleted.

    INC's TensorFlow converter makes one such file per trial, keeps its descriptor open and never
    deletes it (adaptor/tf_utils/graph_converter.py, INC 2.6 to 3.7.1), until a long run hits the
    limit of open files.
    """
    real_mkstemp = tempfile.mkstemp
    made: list[tuple[int, str]] = []

    def remembering_mkstemp(*args: Any, **kwargs: Any) -> tuple[int, str]:
        result = real_mkstemp(*args, **kwargs)
        made.append(result)
        return result

    tempfile.mkstemp = remembering_mkstemp  # type: ignore[assignment]
    try:
        yield
    finally:
        tempfile.mkstemp = real_mkstemp
        for descriptor, path in made:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)
