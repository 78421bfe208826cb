"""What INC logs as errors, because its exceptions often do not say it."""

from __future__ import annotations

import logging

from nc_sigopt_strategy.errors import in_one_line, named


class LoggedErrors(logging.Handler):
    """Remembers the last error that INC logged.

    INC catches what goes wrong inside its converters, logs it, returns ``None`` and then stumbles
    over a bare ``assert``: the log line is the cause, the exception is not.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the message of an error."""
        self.last = record.getMessage()

    def __enter__(self) -> LoggedErrors:
        logging.getLogger("neural_compressor").addHandler(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        logging.getLogger("neural_compressor").removeHandler(self)

    def reason(self, error: BaseException) -> str:
        """One line on why something failed: the exception's text, and the logged cause."""
        text = named(error)
        logged = "" if self.last is None else in_one_line(self.last)
        return f"{text} (INC logged: {logged})" if logged and logged not in text else text
