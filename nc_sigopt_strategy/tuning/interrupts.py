"""Ctrl-C that nobody swallows, told from Neural Compressor's timeout."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from nc_sigopt_strategy.tuning.ending_signals import NUMBERS, HandlesEndingSignals, is_handled

INTERRUPTED = "Interrupted."


class InterruptWatch(HandlesEndingSignals):
    """Notes whether an interrupt came before the time budget was spent.

    Neural Compressor's timer ends a run by simulating Ctrl-C, ``fit`` swallows either, and nothing
    in the signal tells which it was. But the timer never fires early, so an early interrupt is a
    person's. Within ``EndingSignals`` it notes SIGTERM and SIGHUP too, which are always a person's
    or a program's that speaks for one. Use it as a context manager; outside the main thread, where
    Python delivers no signals, it changes nothing.

    Args:
        timeout_seconds: Neural Compressor's budget; 0 when there is none.

    Attributes:
        by_person: Whether a person interrupted the run.
        fired: Whether anything did. Code that catches everything can swallow the exception (it was
            seen to); whoever is called back afterwards can raise it once more.
    """

    def __init__(self, timeout_seconds: float = 0.0) -> None:
        self.by_person = False
        self.fired = False
        self._timeout_seconds = timeout_seconds
        self._started = 0.0
        self._holding = False
        self._held_back: tuple[int, FrameType | None] | None = None
        self._before: dict[int, Any] = {}
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        # A process that ignores Ctrl-C (nohup, a background job) goes on ignoring it.
        self._watching = self._in_main_thread and signal.getsignal(signal.SIGINT) not in (
            signal.SIG_IGN,
            None,
        )

    def check(self) -> None:
        """Raise the ``KeyboardInterrupt`` that somebody else caught."""
        if self.fired:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, an interrupt waits: for steps that must happen together or not at all."""
        self._holding = True
        fired_before = self.fired
        try:
            yield
        finally:
            self._holding = False
        held_back, self._held_back = self._held_back, None
        if held_back is not None:
            self._note_end(*held_back)
        if self.fired and not fired_before:
            raise KeyboardInterrupt

    def __enter__(self) -> InterruptWatch:
        self._started = time.monotonic()
        if self._watching:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
        for number in NUMBERS if self._in_main_thread else ():
            if is_handled(number):
                self._before[number] = signal.signal(number, self._note_end)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.fired = True
        elapsed = time.monotonic() - self._started
        if not self._timeout_seconds or elapsed < self._timeout_seconds:
            self.by_person = True
        if self._holding:
            return
        before = self._before[signal.SIGINT]
        handle = before if callable(before) else signal.default_int_handler
        handle(number, frame)

    def _note_end(self, number: int, frame: FrameType | None) -> None:
        if self._holding:
            self._held_back = (number, frame)
            return
        try:
            self._before[number](number, frame)
        except BaseException:
            # Only what is raised ends the run: a user's own handler may mean something else.
            self.fired = self.by_person = True
            raise
