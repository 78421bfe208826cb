"""How a run in this process ended."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.results.outcome import Outcome


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    Attributes:
        outcome: As it was written.
        interrupted: Whether Ctrl-C ended it.
        runtimes: Lines on the models of several runtimes, where there were several.
    """

    outcome: Outcome
    interrupted: bool
    runtimes: tuple[str, ...] = ()
