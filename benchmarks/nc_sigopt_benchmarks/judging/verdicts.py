"""What a comparison comes to, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from nc_sigopt_benchmarks.config.run_config import CriterionConfig
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.judging.timing import Samples, ratio

_ALL_PAIRS_OF = 3


def bound_text(
    criterion: CriterionConfig, baseline: float | None, evaluation_size: int | None
) -> str:
    """The accuracy bound in words, in images too where their number is known."""
    loss = f"{criterion.tolerable_loss:.3g}"
    if criterion.criterion == "relative":
        loss = f"{criterion.tolerable_loss * 100:.3g} % relative"
    if baseline is None:
        return f"accuracy within {loss} of FP32's"
    target = criterion.target(baseline)
    side = "at least" if criterion.higher_is_better else "at most"
    text = f"accuracy {side} {target:.4f} ({loss} loss on FP32's {baseline:.4f}"
    if evaluation_size and criterion.higher_is_better and 0 <= baseline <= 1:
        right = round(baseline * evaluation_size)
        needed = math.ceil(target * evaluation_size - 1e-9)
        text += f": {needed} of {evaluation_size} images right, {right - needed} fewer than FP32"
    return text + ")"


def verdicts(
    strategies: Sequence[StrategyResult], samples: Samples | None, higher_is_better: bool
) -> list[str]:
    """Sentences: how each strategy without a model ended, then the pairs that were timed.

    All pairs of a few; of more, each against the best.
    """
    sentences = [text for strategy in strategies if (text := without_model(strategy))]
    if samples is None:
        return sentences
    found = [s for s in strategies if s.found and s.label in samples]
    pairs = list(combinations(found, 2))
    if len(found) > _ALL_PAIRS_OF:
        best = best_strategy(found, samples, higher_is_better)
        pairs = [(best, other) for other in found if best is not None and other is not best]
    sentences.extend(_pair(one, other, samples, higher_is_better) for one, other in pairs)
    return sentences


def best_strategy(
    strategies: Sequence[StrategyResult], samples: Samples | None, higher_is_better: bool
) -> StrategyResult | None:
    """Whose model is the run's best: the fastest beyond the noise, else the more accurate.

    Without timings (an interrupted run) the more accurate of those found.
    """
    best: StrategyResult | None = None
    for candidate in (strategy for strategy in strategies if strategy.found):
        if best is None:
            best = candidate
            continue
        gain = _accuracy_gain(candidate, best, higher_is_better)
        if samples is None or candidate.label not in samples or best.label not in samples:
            best = candidate if gain > 0 else best
            continue
        estimate = ratio(candidate.label, best.label, samples)
        tied = estimate.low <= 1 <= estimate.high
        if (tied and gain > 0) or (not tied and estimate.ratio < 1):
            best = candidate
    return best


def without_model(strategy: StrategyResult) -> str | None:
    """How a run without a model ended, as a sentence; ``None`` if it has one."""
    outcome = strategy.outcome
    if strategy.skipped:
        return f"{strategy.label} was skipped: {strategy.skipped.rstrip('.')}."
    if strategy.failure:
        kept = " What it had found is kept." if strategy.found else ""
        what = "cannot be used" if strategy.wrong_use else "crashed"
        return f"{strategy.label} {what}: {strategy.failure.rstrip('.')}.{kept}"
    if outcome is None or outcome.found:
        return None
    text = (
        f"{strategy.label} found no model that meets the bound in {outcome.tuning_seconds:.0f} s"
    )
    nearest = outcome.nearest_miss
    if nearest is not None and nearest.accuracy is not None:
        text += f"; its nearest has an accuracy of {nearest.accuracy:.4f}"
    return text + "."


def _pair(
    one: StrategyResult, other: StrategyResult, samples: Samples, higher_is_better: bool
) -> str:
    estimate = ratio(one.label, other.label, samples)
    interval = f"latency ratio {estimate.ratio:.3f}, 95 % interval {estimate.low:.3f} to "
    interval += f"{estimate.high:.3f}"
    if estimate.low <= 1 <= estimate.high:
        gain = _accuracy_gain(one, other, higher_is_better)
        text = f"{one.label} and {other.label} tie in latency ({interval} includes 1)"
        if gain == 0:
            return f"{text} and in accuracy."
        ahead = one if gain > 0 else other
        return f"{text}; {ahead.label}'s model is the more accurate by {abs(gain):.4f}."
    fast, slow = (one, other) if estimate.ratio < 1 else (other, one)
    gain_percent = (max(estimate.ratio, 1 / estimate.ratio) - 1) * 100
    return (
        f"{fast.label}'s model is {gain_percent:.0f} % faster than {slow.label}'s "
        f"({one.label} over {other.label}: {interval})."
    )


def _accuracy_gain(one: StrategyResult, other: StrategyResult, higher_is_better: bool) -> float:
    values = []
    for strategy in (one, other):
        best = strategy.outcome.best if strategy.outcome else None
        values.append(best.accuracy if best and best.accuracy is not None else 0.0)
    return (values[0] - values[1]) * (1 if higher_is_better else -1)
