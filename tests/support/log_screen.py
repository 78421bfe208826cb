"""A screen that Neural Compressor's logger and ours write to, as registering leaves them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

INC, OURS = logging.getLogger("neural_compressor"), logging.getLogger("nc_sigopt_strategy")


@contextmanager
def log_screen(form: str | None = None) -> Iterator[io.StringIO]:
    """Inside, one handler writes what both log to a stream.

    Args:
        form: Of a line, as ``logging.Formatter`` takes it.
    """
    kept = [(logger, logger.handlers[:], logger.level) for logger in (INC, OURS)]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(form))
    for logger in (INC, OURS):
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
    yield stream
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
