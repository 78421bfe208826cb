"""When to stop: trials, time, or the first model that meets the bound."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

# A run in which nothing works should say so soon, not after its whole budget.
FAILURES_IN_A_ROW = 10


@dataclass
class Budget:
    """INC's ``max_trials`` and ``timeout``, with our own clock.

    INC's timeout interrupts the main thread wherever it is and cannot be told from Ctrl-C, so it
    is switched off and this deadline is checked between trials instead.

    Attributes:
        max_trials: Observation budget.
        timeout_seconds: 0 for no limit.
        stop_at_first: Stop at the first model that meets the bound.
        clock: Monotonic seconds.
    """

    max_trials: int
    timeout_seconds: float
    stop_at_first: bool
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self.started

    @property
    def deadline(self) -> float | None:
        """The clock's reading at which the time is up."""
        return self.started + self.timeout_seconds if self.timeout_seconds else None

    def stop_reason(
        self,
        *,
        trials: int,
        found: bool,
        trial_seconds: Sequence[float],
        reserved_seconds: float,
        failures_in_a_row: int,
    ) -> str | None:
        """Why no further trial may start, or ``None``.

        Args:
            trials: Observed so far, failed ones included.
            found: Whether some model met the bound.
            trial_seconds: How long the trials of this process took.
            reserved_seconds: What the finalists will need.
            failures_in_a_row: Failed trials since the last one that worked.
        """
        if self.stop_at_first and found:
            return "The first model that meets the bound was found (stop_at_first)."
        if trials >= self.max_trials:
            return f"The budget of {self.max_trials} trials is spent."
        if failures_in_a_row >= FAILURES_IN_A_ROW:
            return f"The last {failures_in_a_row} trials failed."
        if self.deadline is not None:
            typical = statistics.median(trial_seconds) if trial_seconds else 0.0
            if self.clock() + typical + reserved_seconds > self.deadline:
                return f"The time of {self.timeout_seconds:g} s is up."
        return None
