"""How often calibration data went through a model, and how many models were made of that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class CalibrationUsage:
    """Counts of one run.

    Attributes:
        fed: Models that were made from the statistics.
        passes: How often data went through a model to gather them.
        seconds: What that took.
    """

    fed: int = 0
    passes: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """For ``outcome.json``."""
        return {"fed": self.fed, "passes": self.passes, "seconds": self.seconds, "stock": {}}
