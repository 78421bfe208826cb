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
        batch_done: Called after each batch of a pass with its number, from 1, and how many there
            are at most.
    """

    fed: int = 0
    passes: int = 0
    seconds: float = 0.0
    stock: Counter[str] = field(default_factory=Counter)
    batch_done: Callable[[int, int], None] = field(default=lambda done, total: None, repr=False)

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
        }
