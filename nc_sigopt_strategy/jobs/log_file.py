"""Where the hundreds of lines go that a tuning logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_FILE = "log.txt"
_TALKATIVE = ("neural_compressor", "nc_sigopt_strategy", "tensorflow", "nncf", "openvino")


@contextmanager
def logs_in(path: Path) -> Iterator[None]:
    """Send what is logged inside to a file, where it does not break the progress bar.

    A job that uses Neural Compressor has imported it by now: it sets its logger up then.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.handlers[:] for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [handler]
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
        handler.close()
