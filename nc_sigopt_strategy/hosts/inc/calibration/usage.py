"""How often trials were fed from the statistics, how often INC calibrated itself, and why."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger("nc_sigopt_strategy")


@dataclass
class CalibrationUsage:
    """Counts of one run.

    Attributes:
        fed: Calibrations that were answered from the statistics.
        passes: Passes over the calibration data that gathered them.
        seconds: Seconds spent in those passes.
        stock: Reason to the number of calibrations that INC did itself.
        fitted: Models that got fitted weights.
        doing: Called with what is being done, in words, after each step of it.
    """

    fed: int = 0
    passes: int = 0
    seconds: float = 0.0
    stock: Counter[str] = field(default_factory=Counter)
    fitted: int = 0
    doing: Callable[[str], None] = field(default=lambda what: None, repr=False)

    def batch_done(self, done: int, total: int) -> None:
        """Say that a batch of a pass is done: its number, from 1, and how many there can be."""
        self.doing(f"calibrating, batch {done} of {total}")

    def left_to_inc(self, reason: str) -> None:
        """Count a calibration that INC does itself; the first of each reason is a warning."""
        if not self.stock[reason]:
            logger.warning(
                "Calibration statistics cannot be reused here: %s. Neural Compressor calibrates "
                "in every such trial.",
                reason,
            )
        self.stock[reason] += 1

    def as_dict(self) -> dict[str, object]:
        """For ``outcome.json``."""
        return {
            "fed": self.fed,
            "passes": self.passes,
            "seconds": self.seconds,
            "stock": dict(self.stock),
            "fitted": self.fitted,
        }
