"""What INC logs as errors, because its exceptions often do not say it."""

from __future__ import annotations

import logging


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
        said = str(error).strip().split("\n")[0]
        text = f"{type(error).__name__}: {said}" if said else type(error).__name__
        if self.last is not None and self.last not in text:
            text = f"{text} (INC logged: {self.last.strip()})"
        return text
