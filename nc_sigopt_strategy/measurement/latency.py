"""Latency by paired, interleaved timing.

On a shared machine single times drift by far more than the models differ. Models are therefore
timed in turn, and what is reported is the ratio to a reference timed in the same round: the
drift of the machine is in both and cancels. The ratio is estimated on the log scale by a trimmed
mean, because a timing that another process disturbed is long, never short.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches

# 97.5 % quantiles of Student's t, by degrees of freedom; beyond the table the normal's will do.
_T_975 = {
    1: 12.71,
    2: 4.30,
    3: 3.18,
    4: 2.78,
    5: 2.57,
    6: 2.45,
    8: 2.31,
    10: 2.23,
    15: 2.13,
    20: 2.09,
    30: 2.04,
}
# Share of the pairs cut at each end: enough to drop the runs that another process interrupted.
TRIM = 0.2
# With fewer pairs the interval is so wide that everything ties with everything.
MINIMUM_ROUNDS = 8
# Untimed runs of a model before the first that counts.
WARMUP = 3


@dataclass(frozen=True)
class RatioEstimate:
    """Latency over the reference's: estimate, standard error and 95 % interval."""

    ratio: float
    stderr: float
    low: float
    high: float


def time_side_by_side(
    sessions: Mapping[str, ModelSession],
    batch: Any,
    *,
    rounds: int,
    warmup: int = WARMUP,
    seed: int = 0,
    deadline: float | None = None,
    minimum: int = MINIMUM_ROUNDS,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, list[float]]:
    """Seconds per inference of each model, one sample of each a round, in shuffled order.

    Args:
        sessions: Name to loaded model.
        batch: What every model is run on; or ``TimedBatches``.
        rounds: Samples per model.
        warmup: Untimed runs per model before the first round.
        seed: Seed of the order within rounds.
        deadline: The clock's reading after which no further round starts, once ``minimum`` are
            done.
        minimum: By default enough for an interval that means something.
        clock: Monotonic seconds.

    Returns:
        Name to samples, all of one length, in round order so that they can be paired.
    """
    batches = batch if isinstance(batch, TimedBatches) else TimedBatches([batch])
    calls = {name: batches.timed(session, clock) for name, session in sessions.items()}
    for call in calls.values():
        for _ in range(warmup):
            call()
    return time_calls(
        calls,
        rounds=rounds,
        seed=seed,
        deadline=deadline,
        minimum=minimum,
        clock=clock,
    )


def time_calls(
    calls: Mapping[str, Callable[[], float]],
    *,
    rounds: int,
    seed: int = 0,
    deadline: float | None = None,
    minimum: int = MINIMUM_ROUNDS,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, list[float]]:
    """``time_side_by_side`` for calls that return their own seconds; nothing is warmed up."""
    order = list(calls)
    shuffle = random.Random(seed).shuffle
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for done in range(rounds):
        if deadline is not None and done >= minimum and clock() > deadline:
            break
        shuffle(order)
        for name in order:
            samples[name].append(calls[name]())
    return samples


def paired_ratio(samples: Sequence[float], reference: Sequence[float]) -> RatioEstimate:
    """Ratio of two models' latencies from samples of the same rounds.

    The log ratios are trimmed by 20 % at each end; the standard error is that of a trimmed mean,
    from the winsorized variance (Tukey and McLaughlin, 1963).

    Args:
        samples: Seconds, shape ``(rounds,)``, at least 2.
        reference: Seconds of the reference in the same rounds, same shape.
    """
    logs = np.log(np.asarray(samples, float) / np.asarray(reference, float))
    mean, stderr, half = _trimmed_mean(logs)
    ratio = math.exp(mean)
    return RatioEstimate(ratio, ratio * stderr, ratio * math.exp(-half), ratio * math.exp(half))


def paired_difference(
    samples: Sequence[float], reference: Sequence[float]
) -> tuple[float, float, float]:
    """Seconds that a model takes more than the reference, with the 95 % interval's ends.

    Args:
        samples: As for ``paired_ratio``, by the same trimmed mean.
        reference: As for ``paired_ratio``.
    """
    mean, _, half = _trimmed_mean(np.asarray(samples, float) - np.asarray(reference, float))
    return mean, mean - half, mean + half


def _trimmed_mean(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean without the ends, its standard error, and half of its 95 % interval."""
    ordered = np.sort(values)
    n = len(ordered)
    cut = int(TRIM * n)
    kept = ordered[cut : n - cut]
    winsorized = np.clip(ordered, kept[0], kept[-1])
    spread = float(winsorized.std(ddof=1)) if n > 1 else math.inf
    stderr = spread / ((1 - 2 * cut / n) * math.sqrt(n))
    return float(kept.mean()), stderr, _t_quantile(len(kept) - 1) * stderr


def _t_quantile(freedom: int) -> float:
    below = [f for f in _T_975 if f <= max(freedom, 1)]
    return 1.96 if freedom > 60 else _T_975[max(below)]
