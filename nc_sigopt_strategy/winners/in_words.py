"""What came of a run, in a sentence or two that do not mislead."""

from __future__ import annotations

from dataclasses import dataclass

from nc_sigopt_strategy.console.cells import probability_text
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_history import measured_latency
from nc_sigopt_strategy.settings.choices import EVEN_ODDS
from nc_sigopt_strategy.winners.bound_odds import MOST_DATA
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
        first = _none(outcome)
    elif outcome.front:
        first = _front(outcome, worth)
    elif not worth.quantized:
        first = _with_nearest(f"FP32 won: no faster model {_kept(outcome)}", outcome)
    elif worth.speedup is None:
        first = f"A model met the bound; it was not timed beside FP32{_made_of(outcome)}"
    elif not worth.faster:
        first = _with_nearest(
            f"FP32 won: no model that {_kept(outcome)} is faster beyond the noise; "
            f"the best is {_times(worth.speedup)}",
            outcome,
        )
    else:
        first = f"{_times(worth.speedup)}{_at_accuracy(outcome)}{_made_of(outcome)}"
        if worth.is_default:
            first += "; it is default int8, which was not beaten"
    others = (*confidence_in_words(outcome), _other_bound(outcome), _noise(outcome))
    return " ".join(filter(None, (f"{first}.", *others)))


def _none(outcome: Outcome) -> str:
    if outcome.finalists:
        return "No model that met the bound was confirmed"
    trial, confidence = outcome.most_probable, outcome.bound_confidence
    if trial is None or confidence is None:
        return _with_nearest(f"No model met the bound{_of_bound(outcome)}", outcome)
    text = f"No model keeps the bound with a probability of {confidence:g} on other data"
    if trial.bound_probability is None:
        return f"{text}, as far as is known"
    return (
        f"{text}: the most probable, trial {trial.trial}, does with "
        f"{probability_text(trial.bound_probability)}{_more_data(trial)}"
    )


def _kept(outcome: Outcome) -> str:
    confidence = outcome.bound_confidence
    if confidence is None or confidence <= EVEN_ODDS:
        return "met the bound"
    return f"keeps the bound with a probability of {confidence:g}"


def confidence_in_words(outcome: Outcome) -> list[str]:
    """How sure it is that the returned model keeps the bound on other data, and who did not."""
    sentences = [
        f"Trial {one.trial} is passed over: {one.passed_over}."
        for one in outcome.finalists
        if one.passed_over
    ]
    best = outcome.best_finalist
    if best is None or outcome.returns_fp32:
        return sentences
    if best.difference is not None:
        loss = best.difference
        sentences.append(
            f"Its accuracy differs from FP32's by {loss.value:+.4f} ({loss.low:+.4f} to "
            f"{loss.high:+.4f} on {best.inputs} inputs)."
        )
    if best.bound_probability is not None:
        sentences.append(
            "The probability that it keeps the bound on other data of the kind is "
            f"{probability_text(best.bound_probability)}{_more_data(best)}."
        )
    if best.confirmed_accuracy is not None:
        sentences.append(f"confirm_func found {best.confirmed_accuracy:.4f}, and that is enough.")
    return sentences


def _more_data(one: Finalist) -> str:
    times = one.data_to_settle
    if times is None:
        return ""
    about = "more than" if times >= MOST_DATA else "about"
    if one.inputs is None:
        return f"; {about} {times:.0f} times as much data would settle it"
    return f"; {about} {_round_number(times * one.inputs)} inputs would settle it"


def _round_number(count: float) -> str:
    """Two digits of it: nobody knows more."""
    digits = 10 ** max(0, len(str(int(count))) - 2)
    return f"{round(count / digits) * digits:,}"


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
