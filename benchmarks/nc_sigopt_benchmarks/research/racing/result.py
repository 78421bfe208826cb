"""What one run of a race ended with."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Winner:
    """Who wins from some trial on, until the next change.

    Attributes:
        after: Number of trials from which on it wins, from 1.
        ratio: Its true latency over the optimum's. Below 1 only where its true accuracy misses
            the bound.
        accuracy: Its true accuracy, 0 to 1.
        shortfall: Bound minus true accuracy, in standard deviations of an accuracy near the
            bound on the landscape's images.
    """

    after: int
    ratio: float
    accuracy: float
    shortfall: float

    @property
    def wrong(self) -> bool:
        """Whether it misses the bound by more than the sampling error."""
        return self.shortfall > 1


@dataclass(frozen=True)
class RunResult:
    """One competitor on one landscape with one seed.

    Attributes:
        landscape: Name of the landscape.
        family: Of the landscape.
        assumptions_hold: See ``Landscape``.
        recorded: Whether the landscape was recorded from a real model.
        images: How many images an accuracy was measured on.
        seed: Of the run.
        competitor: Its name.
        budget: Trials that were allowed.
        trials: Trials that were made; fewer than the budget where the competitor had finished.
        seeded: How many of them were the common first configurations.
        winners: Every change of the winner, in order; empty if no trial met the bound.
        suggest_seconds: Wall time of each suggestion of the competitor's own.
        error: Why the run broke off; ``None`` if it did not. What it has until then stays.
    """

    landscape: str
    family: str
    assumptions_hold: bool
    recorded: bool
    images: int
    seed: int
    competitor: str
    budget: int
    trials: int
    seeded: int
    winners: tuple[Winner, ...]
    suggest_seconds: tuple[float, ...]
    error: str | None = None

    def winner(self, trials: int) -> Winner | None:
        """Who wins after so many trials; ``None`` if none of them met the bound."""
        position = bisect.bisect_right([winner.after for winner in self.winners], trials)
        return self.winners[position - 1] if position else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> RunResult:
        """The inverse of ``to_json``."""
        values = dict(raw)
        values["winners"] = tuple(Winner(**winner) for winner in values["winners"])
        values["suggest_seconds"] = tuple(values["suggest_seconds"])
        return cls(**values)
