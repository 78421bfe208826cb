"""Where the hundreds of lines go that a tuning logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nc_sigopt_strategy.console.stderr import duplicate_of_stderr
from nc_sigopt_strategy.files import make_private

LOG_FILE = "log.txt"
_OURS = "nc_sigopt_strategy"
_INC = "neural_compressor"
_TALKATIVE = (_INC, _OURS, "tensorflow", "nncf", "openvino")


@contextmanager
def logs_in(path: Path, *, shown: bool = False) -> Iterator[None]:
    """Send what is logged inside to a file, where it does not break the progress bar.

    A job that uses Neural Compressor has imported it by now: it sets its logger up then.

    Args:
        path: The file; lines are added to it.
        shown: Whether what this package logs goes to standard error as well.
    """
    handler = _to_file(path)
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


class OffScreen:
    """Neural Compressor's log in a file in place of the screen, until it is given back.

    Only what Neural Compressor itself writes to the terminal is taken off; handlers that the
    program has given to its logger (or ``logs_in`` has) stay. What this package logs is written
    to the file, too, and stays on the screen. Each line is in the file as soon as it is logged.

    Args:
        path: The file; lines are added to it, and its folder is made if need be.

    Attributes:
        path: As given; ``None`` where nothing is on the screen that could be taken off it, or the
            file cannot be written: then all stays as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path | None = None
        self._inc, self._ours = logging.getLogger(_INC), logging.getLogger(_OURS)
        self._taken = _on_screen(self._inc)
        if not self._taken:
            return
        try:
            make_private(path.parent)
            self._handler = _to_file(path)
        except OSError as error:
            self._ours.warning("Neural Compressor's log stays here: %s", error)
            return
        self.path = path
        for handler in self._taken:
            self._inc.removeHandler(handler)
        for logger in (self._inc, self._ours):
            logger.addHandler(self._handler)

    def give_back(self) -> None:
        """Let Neural Compressor log to where it did; doing it again changes nothing."""
        if self.path is None:
            return
        self.path = None
        for logger in (self._inc, self._ours):
            logger.removeHandler(self._handler)
        # A part of Neural Compressor that is imported meanwhile sets the logger up anew.
        if not _on_screen(self._inc):
            for handler in self._taken:
                self._inc.addHandler(handler)
        self._handler.close()


def _on_screen(logger: logging.Logger) -> list[logging.Handler]:
    # A file's handler is of a class of its own.
    return [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]


def _to_file(path: Path) -> logging.FileHandler:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    return handler
