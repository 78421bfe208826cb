"""Close and delete the temporary files that INC's calibration forgets."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import Any

_MAKER = "neural_compressor"


class ReclaimedTempFiles:
    """While entered, remembers INC's ``tempfile.mkstemp``; ``reclaim`` closes and deletes them.

    INC's TensorFlow converter makes one such file per trial, keeps its descriptor open and never
    deletes it (adaptor/tf_utils/graph_converter.py, INC 2.6 to 3.7.1), until a long run hits the
    limit of open files. Call ``reclaim`` whenever a quantization is over.
    """

    def __init__(self) -> None:
        self._made: list[tuple[int, str]] = []
        self._real = tempfile.mkstemp

    def __enter__(self) -> ReclaimedTempFiles:
        self._real = tempfile.mkstemp
        tempfile.mkstemp = self._remembering  # type: ignore[assignment]
        return self

    def __exit__(self, *exc_info: object) -> None:
        tempfile.mkstemp = self._real
        self.reclaim()

    def reclaim(self) -> None:
        """Close and delete what was made since the last call, as far as its maker did not."""
        while self._made:
            descriptor, path = self._made.pop()
            # A maker that closed its file may have another one under the same number by now.
            if _leads_to(descriptor, path):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _remembering(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        made = self._real(*args, **kwargs)
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        # Temporary files of the user's own evaluation are none of our business.
        if caller.split(".")[0] == _MAKER:
            self._made.append(made)
        return made


def _leads_to(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
