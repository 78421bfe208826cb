"""What other accuracy bounds would have bought: the curve of speed over loss that trials hold."""

from __future__ import annotations

from collections.abc import Sequence

from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.outcome import OtherBound, Outcome
from nc_sigopt_strategy.results.trial_history import measured_latency
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.winners.front import pareto_front

# Losses that people ask for, as shares of FP32's accuracy.
USUAL_LOSSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
# A wider bound is worth a word only if it buys this much more than the timings' usual noise.
WORTH_A_WORD = 1.05


def other_bounds(
    outcome: Outcome, records: Sequence[TrialRecord], bound: AccuracyBound
) -> tuple[OtherBound, ...]:
    """The models that are the fastest of their accuracy, the smallest loss first.

    Args:
        outcome: Of the run; FP32's latency, the model that is returned and its speed-up are used.
        records: All trials.
        bound: The accuracy bound.

    Returns:
        Loss and speed both rise along it. Empty where a loss cannot be told: FP32 was not timed,
        its accuracy is 0, or there are several metrics with a target each.
    """
    fp32, baseline = outcome.fp32_latency_seconds, bound.baseline_scalar
    if not fp32 or not baseline or bound.is_margin:
        return ()
    scale = 1.0
    if outcome.best is not None and outcome.speedup is not None and outcome.best.latency_seconds:
        scale = outcome.speedup.value * outcome.best.latency_seconds / fp32
    sign = 1.0 if bound.maximize else -1.0
    found = [
        OtherBound(
            loss=sign * (baseline - (trial.accuracy or 0.0)) / abs(baseline),
            accuracy=trial.accuracy or 0.0,
            speedup=scale * fp32 / measured_latency(trial),
            trial=trial.number,
        )
        for trial in pareto_front(records, maximize=bound.maximize)
        if measured_latency(trial) > 0
    ]
    return tuple(reversed(found))


def next_worth_having(outcome: Outcome) -> tuple[float, float] | None:
    """The smallest usual loss beyond the bound that would have bought a notably faster model.

    Args:
        outcome: With its ``other_bounds``.

    Returns:
        The loss, as a share of FP32's accuracy, and the speed-up; ``None`` if there is none.
    """
    baseline, target = outcome.baseline_accuracy, outcome.accuracy_target
    if not baseline or target is None:
        return None
    allowed = abs(baseline - target) / abs(baseline)
    # Single timings flatter, so those beyond the bound are compared with those within it, too.
    within = [other.speedup for other in outcome.other_bounds if _meets(other.loss, allowed)]
    won = outcome.speedup.value if outcome.speedup is not None and outcome.best else 1.0
    has = max(1.0, won, *within)
    for loss in USUAL_LOSSES:
        if _meets(loss, allowed):
            continue
        met = [other.speedup for other in outcome.other_bounds if _meets(other.loss, loss)]
        if met and max(met) >= WORTH_A_WORD * has:
            return loss, max(met)
    return None


def _meets(loss: float, allowed: float) -> bool:
    """Equality counts as met, and a loss is a difference of rounded numbers."""
    return loss <= allowed + 1e-9
