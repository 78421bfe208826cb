"""How a run in this process ended."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.results.outcome import Outcome


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, and whether Ctrl-C ended it."""

    outcome: Outcome
    interrupted: bool
