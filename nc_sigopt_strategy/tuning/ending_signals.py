"""SIGTERM and SIGHUP end a run as Ctrl-C does: closed, decided, written.

Schedulers, containers and closed terminals send them and give a process some time to end. Python's
own answer is to die at once, with all that was found.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

logger = logging.getLogger("nc_sigopt_strategy")

# What a shell shows of a process that a signal ended.
EXIT_BASE = 128
# ``timeout`` and some supervisors send a signal to a process and then to its group. That is one
# wish to end and not a second, impatient one.
_ONE_WISH_SECONDS = 1.0
# Windows has no SIGHUP.
NUMBERS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class HandlesEndingSignals:
    """Whoever has its handler on top of one of these signals, and passes them on."""


class EndingSignals(HandlesEndingSignals):
    """Inside, SIGTERM and SIGHUP raise ``KeyboardInterrupt``; afterwards the process ends.

    A signal that is ignored (``nohup``) stays ignored. A handler of the user's own is called
    first: if it returns, the signal meant something else to them and nothing ends; what it raises
    ends the run, and is raised again once the run is closed. Blocks may be nested, and the
    outermost ends the process. Outside the main thread, where Python delivers no signals, it does
    nothing.

    A second signal, a second or more after the first, interrupts the closing too.

    Raises:
        SystemExit: At the end of the block after such a signal, with code 128 + its number.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._number: int | None = None
        self._noted = 0.0
        self._raised: BaseException | None = None

    @property
    def came(self) -> bool:
        """Whether such a signal ended the block, or is about to."""
        return self._number is not None

    def __enter__(self) -> EndingSignals:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in NUMBERS:
            handler = signal.getsignal(number)
            # ``None``: a handler that was not set from Python, and could not be put back.
            if handler in (signal.SIG_IGN, None) or is_handled(number):
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._raised is not None:
            raise self._raised
        if self._number is not None:
            name = signal.Signals(self._number).name
            logger.warning("The process ends now, as %s asked for.", name)
            raise SystemExit(EXIT_BASE + self._number) from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._number is not None and now - self._noted < _ONE_WISH_SECONDS:
            return
        users = self._before[number]
        if callable(users):
            try:
                users(number, frame)
            except BaseException as error:
                self._raised = error
            else:
                return
        self._number, self._noted = number, now
        raise KeyboardInterrupt(signal.Signals(number).name)


def is_handled(number: int) -> bool:
    """Whether a block that is open already ends the run at this signal."""
    owner = getattr(signal.getsignal(number), "__self__", None)
    return isinstance(owner, HandlesEndingSignals)
