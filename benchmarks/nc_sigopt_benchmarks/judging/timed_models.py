"""Models timed side by side, and judged on images that no trial saw."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.results.interval import Interval


@dataclass(frozen=True)
class TimedModel:
    """One model, timed side by side with the others.

    Attributes:
        latency_seconds: For one inference on one batch. The interval is that of the paired ratio
            to FP32, so it leaves out the drift that all models share.
        speedup: FP32's latency over this model's, paired.
        samples: Raw seconds, one per round.
    """

    latency_seconds: Interval
    speedup: Interval
    samples: tuple[float, ...] = ()


@dataclass(frozen=True)
class PairedComparison:
    """One timed model against another, sample by sample of the same rounds.

    Attributes:
        speedup: The other's latency over this one's.
        difference_seconds: This one's latency minus the other's.
    """

    speedup: Interval
    difference_seconds: Interval

    @property
    def tied(self) -> bool:
        """Whether the two cannot be told apart: the difference's interval includes zero."""
        return self.difference_seconds.low <= 0 <= self.difference_seconds.high


@dataclass(frozen=True)
class HeldOut:
    """The model found and FP32, judged on images that no trial saw.

    Attributes:
        images: How many.
        accuracy: The model's.
        baseline_accuracy: FP32's on the same images.
        drop: FP32's accuracy minus the model's, with its paired bootstrap interval.
        allowed_drop: What the accuracy criterion allows on these images.
    """

    images: int
    accuracy: float
    baseline_accuracy: float
    drop: Interval
    allowed_drop: float

    @property
    def consistent(self) -> bool:
        """Whether the bound is not refuted: a drop within it lies in the interval or above it."""
        return self.drop.low <= self.allowed_drop
