"""A clock that stands still unless it is told to go on."""

from __future__ import annotations


class FakeClock:
    """Monotonic seconds under a test's control; it is called like ``time.monotonic``."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time go by.

        Args:
            seconds: At least 0.
        """
        self._now += seconds
