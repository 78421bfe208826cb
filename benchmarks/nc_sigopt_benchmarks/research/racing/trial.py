"""One trial of a race, and what a competitor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Look


@dataclass(frozen=True)
class Trial:
    """A configuration that was measured.

    Attributes:
        number: Position in the run, from 1.
        choice: Value positions, shape (parameters,).
        look: What the measurement found.
        meets_bound: Whether the accuracy that was measured meets the bound; equality counts.
    """

    number: int
    choice: Choices
    look: Look
    meets_bound: bool

    @property
    def key(self) -> bytes:
        """The configuration as something to hash."""
        return choice_key(self.choice)


class Competitor(Protocol):
    """Whoever says what to try next. One object serves one run."""

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """Value positions of a configuration that was not tried, shape (parameters,).

        Args:
            history: All trials so far, in order; each call has those of the call before.

        Returns:
            ``None`` when the competitor has nothing left to try.
        """


def choice_key(choice: Choices) -> bytes:
    """A configuration as something to hash."""
    return choice.astype("int64").tobytes()
