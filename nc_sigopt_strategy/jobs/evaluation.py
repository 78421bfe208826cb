"""What Neural Compressor calls to learn a model's accuracy, and the record of those calls."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS_FILE = "events.jsonl"
Event = dict[str, Any]


class RecordingEvaluation:
    """An evaluation that writes a line to ``events.jsonl`` for each call.

    The first call is the FP32 baseline, the others are trials. Whoever follows this process reads
    from the file how far it is. A callable object and not a function: Neural Compressor 3.7 reads
    the source of plain functions for words that it finds suspicious.

    Args:
        evaluate: Gets the model, returns its accuracy.
        folder: Where ``events.jsonl`` goes.
        met: Gets a trial's accuracy and the baseline's, returns whether the bound is met.
        details: Gets the model and the number of the call, returns further entries of its line.
        on_event: Gets each line as it is written.
        check_interrupt: Raises the ``KeyboardInterrupt`` that was swallowed on its way, if any.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], Any],
        folder: Path,
        met: Callable[[float, float], bool],
        *,
        details: Callable[[Any, int], Event] = lambda model, number: {},
        on_event: Callable[[Event], None] | None = None,
        check_interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self._evaluate = evaluate
        self._folder = folder
        self._met = met
        self._details = details
        self._on_event = on_event
        self._check_interrupt = check_interrupt
        self._calls = 0
        self._baseline: float | None = None
        self._started = time.monotonic()

    def __call__(self, model: Any) -> Any:
        """The model's accuracy, as the evaluation returns it, right or wrong."""
        self._check_interrupt()
        number = self._calls
        self._calls += 1
        began = time.monotonic()
        accuracy = self._evaluate(model)
        ended = time.monotonic()
        value = _as_number(accuracy)
        if number == 0:
            self._baseline = value
        meets = None
        if number and value is not None and self._baseline is not None:
            meets = self._met(value, self._baseline)
        event = {
            "trial": number,
            "accuracy": value,
            "meets_bound": meets,
            "duration_seconds": ended - began,
            "started_seconds": began - self._started,
            "ended_seconds": ended - self._started,
            **self._details(model, number),
        }
        with (self._folder / EVENTS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        if self._on_event is not None:
            self._on_event(event)
        return accuracy


def read_events(folder: Path) -> list[Event]:
    """The lines of ``events.jsonl`` so far; a line that is still being written is left out."""
    path = folder / EVENTS_FILE
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in complete.splitlines()]


def _as_number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
