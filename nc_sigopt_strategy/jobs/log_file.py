"""Where the hundreds of lines go that a tuning logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nc_sigopt_strategy.console.stderr import duplicate_of_stderr

LOG_FILE = "log.txt"
_OURS = "nc_sigopt_strategy"
_TALKATIVE = ("neural_compressor", _OURS, "tensorflow", "nncf", "openvino")


@contextmanager
def logs_in(path: Path, *, shown: bool = False) -> Iterator[None]:
    """Send what is logged inside to a file, where it does not break the progress bar.

    A job that uses Neural Compressor has imported it by now: it sets its logger up then.

    Args:
        path: The file; lines are added to it.
        shown: Whether what this package logs goes to standard error as well.
    """
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.handlers[:] for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = [handler]
    ours = logging.getLogger(_OURS)
    stream = duplicate_of_stderr() if shown else None
    if stream is not None:
        screen = logging.StreamHandler(stream)
        screen.setFormatter(logging.Formatter("%(message)s"))
        ours.addHandler(screen)
    level, propagates = ours.level, ours.propagate
    # Where Neural Compressor is imported, its level is ours; else nobody has set one.
    if level == logging.NOTSET:
        ours.setLevel(logging.INFO)
    ours.propagate = False
    try:
        yield
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
        ours.setLevel(level)
        ours.propagate = propagates
        handler.close()
        if stream is not None:
            stream.close()
