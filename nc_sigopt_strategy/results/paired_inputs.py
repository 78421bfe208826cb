"""How a model and FP32 differ on single inputs of the evaluation, as counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairedInputs:
    """The counts of one trial.

    Attributes:
        inputs: How many inputs were evaluated.
        of: How many there are.
        higher: On how many of them the model scored higher than FP32.
        lower: On how many lower.
    """

    inputs: int
    of: int
    higher: int
    lower: int

    @property
    def ended_early(self) -> bool:
        """Whether the evaluation was ended before its data did."""
        return self.inputs < self.of
