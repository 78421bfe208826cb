"""What came of a run, in a sentence or two that do not mislead."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_history import measured_latency
from nc_sigopt_strategy.winners.other_bounds import next_worth_having

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
    """The sentences: the speed-up, the accuracy and the types first, in one.

    Args:
        outcome: Of the run; its own verdict is not looked at.
        worth: Of ``outcome.best``; ``None`` without one.
    """
    if outcome.best is None or worth is None:
        first = _with_nearest(f"No model met the bound{_of_bound(outcome)}", outcome)
    elif outcome.front:
        first = _front(outcome, worth)
    elif not worth.quantized:
        first = _with_nearest("FP32 won: no faster model met the bound", outcome)
    elif worth.speedup is None:
        first = f"A model met the bound; it was not timed beside FP32{_made_of(outcome)}"
    elif not worth.faster:
        first = _with_nearest(
            "FP32 won: no model that met the bound is faster beyond the noise; "
            f"the best is {_times(worth.speedup)}",
            outcome,
        )
    else:
        first = f"{_times(worth.speedup)}{_at_accuracy(outcome)}{_made_of(outcome)}"
        if worth.is_default:
            first += "; it is default int8, which was not beaten"
    return " ".join(filter(None, (f"{first}.", _other_bound(outcome), _noise(outcome))))


def _front(outcome: Outcome, worth: Worth) -> str:
    models = f"A front of {len(outcome.front)} model{'' if len(outcome.front) == 1 else 's'}; "
    which = "the fastest that meets the bound"
    if outcome.best is not None and not outcome.best.meets_bound:
        which = "none meets the bound, and the most accurate"
    speed = "" if worth.speedup is None else f": {_times(worth.speedup)}{_at_accuracy(outcome)}"
    return f"{models}{which} is returned{speed}{_made_of(outcome)}"


def _times(speedup: Interval) -> str:
    return f"{speedup.value:.2f} times FP32 ({speedup.low:.2f} to {speedup.high:.2f})"


def _at_accuracy(outcome: Outcome) -> str:
    if outcome.best is None or outcome.best.accuracy is None:
        return ""
    target = outcome.accuracy_target
    bound = "" if target is None else f" (bound {target:.4f})"
    return f" at {outcome.best.accuracy:.4f}{bound}"


def _of_bound(outcome: Outcome) -> str:
    return "" if outcome.accuracy_target is None else f" of {outcome.accuracy_target:.4f}"


def _made_of(outcome: Outcome) -> str:
    """``; 13 of 29 ops int8, 4 bf16, 12 fp32``; a type is left out that no op has."""
    counts = dict(outcome.ops_by_type)
    if not counts:
        return ""
    (name, first), *others = counts.items()
    ops = sum(counts.values())
    parts = [f"{first} of {ops} ops {name}", *(f"{count} {other}" for other, count in others)]
    return f"; {', '.join(parts)}"


def _with_nearest(sentence: str, outcome: Outcome) -> str:
    trial, fp32 = outcome.nearest_miss, outcome.fp32_latency_seconds
    if trial is None or trial.accuracy is None:
        return sentence
    nearest = f"nearest {trial.accuracy:.4f}"
    if fp32 and trial.latency_seconds:
        nearest += f" at {fp32 / measured_latency(trial):.2f} times"
    return f"{sentence}; {nearest} (trial {trial.number})"


def _other_bound(outcome: Outcome) -> str:
    """Of a search for a front nothing was bounded."""
    found = None if outcome.front else next_worth_having(outcome)
    if found is None:
        return ""
    loss, speedup = found
    return f"A loss of {100 * loss:.3g} % would have bought {speedup:.2f} times."


def _noise(outcome: Outcome) -> str:
    noise = outcome.timing_noise
    if noise is None or noise <= NOISY:
        return ""
    return (
        f"The machine was noisy: timings of one model vary by {noise:.0%}; intervals say how far "
        "speed-ups can be believed, single trials' latencies less."
    )
