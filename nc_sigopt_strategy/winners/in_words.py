"""What came of a run, in a sentence or two that do not mislead."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_history import measured_latency

# Timings of one model that lie farther apart than this are worth a word.
NOISY = 0.1


@dataclass(frozen=True)
class Worth:
    """What the model that is returned is worth.

    Attributes:
        quantized: Whether any op of it runs in less than FP32.
        speedup: FP32's latency over its own, side by side; ``None`` if that was not timed.
        is_default: Whether it is the default int8 model.
    """

    quantized: bool
    speedup: Interval | None
    is_default: bool = False

    @property
    def faster(self) -> bool | None:
        """Whether it is faster than FP32 beyond the noise; ``None`` if nobody knows."""
        if not self.quantized:
            return False
        return None if self.speedup is None else self.speedup.low > 1.0


def verdict(outcome: Outcome, worth: Worth | None) -> str:
    """The sentences.

    Args:
        outcome: Of the run; its own verdict is not looked at.
        worth: Of ``outcome.best``; ``None`` without one.
    """
    nearest = _nearest(outcome)
    if outcome.best is None or worth is None:
        sentences = ["No model met the bound.", nearest]
    elif outcome.front:
        sentences = [_front(outcome, worth)]
    elif not worth.quantized:
        sentences = ["Nothing was quantized: no faster model met the bound.", nearest]
    elif worth.speedup is None:
        sentences = ["A model met the bound; it was not timed beside FP32."]
    elif not worth.faster:
        sentences = [
            "No model that met the bound is faster than FP32 beyond the noise: "
            f"the best has {_times(worth.speedup)} FP32's speed.",
            nearest,
        ]
    else:
        what = "Default int8 met the bound and was not beaten; it" if worth.is_default else "It"
        sentences = [f"{what} has {_times(worth.speedup)} FP32's speed, timed side by side."]
    noise = outcome.timing_noise
    if noise is not None and noise > NOISY:
        sentences.append(f"The machine was noisy: timings of one model vary by {noise:.0%}.")
    return " ".join(filter(None, sentences))


def _front(outcome: Outcome, worth: Worth) -> str:
    models = f"A front of {len(outcome.front)} model{'' if len(outcome.front) == 1 else 's'}; "
    which = "the fastest that meets the bound"
    if outcome.best is not None and not outcome.best.meets_bound:
        which = "none meets the bound, and the most accurate"
    if worth.speedup is None:
        return f"{models}{which} is returned."
    return f"{models}{which} is returned, with {_times(worth.speedup)} FP32's speed."


def _times(speedup: Interval) -> str:
    return f"{speedup.value:.2f} ({speedup.low:.2f} to {speedup.high:.2f}) times"


def _nearest(outcome: Outcome) -> str:
    trial, fp32 = outcome.nearest_miss, outcome.fp32_latency_seconds
    if trial is None or trial.accuracy is None:
        return ""
    text = f"The nearest miss is trial {trial.number} with {trial.accuracy:.4f}"
    if outcome.accuracy_target is not None:
        text += f" of {outcome.accuracy_target:.4f}"
    if fp32 and trial.latency_seconds:
        text += f" at {fp32 / measured_latency(trial):.2f} times FP32's speed"
    return text + "."
