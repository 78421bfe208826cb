"""Models timed side by side, FP32 among them, for as long as it takes to tell them apart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.measurement.latency import RatioEstimate, paired_ratio

FP32 = "fp32"
# After how many times the first rounds the intervals are looked at again: seldom, because who
# looks often enough finds by chance what is not there.
LATER_LOOKS = (2, 4, 8)
# Where no deadline ends it sooner; a comparison must not take longer than the search.
MOST_SECONDS = 60.0
# How many standard deviations lie between the quartiles of a normal distribution.
_QUARTILES_TO_SD = 1.349

# Times all models in turn: how many rounds, and how many of them whatever the clock says.
TimeRounds = Callable[[int, int], Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Comparison:
    """What timing models side by side gave.

    Attributes:
        ratios: ``[a][b]``: latency of model a over b's, by trial number.
        speedups: FP32's latency over each model's.
        timing_noise: How far FP32's own timings lie apart, see ``relative_spread``.
        rounds: Samples of each.
    """

    ratios: Mapping[int, Mapping[int, RatioEstimate]]
    speedups: Mapping[int, RatioEstimate]
    timing_noise: float
    rounds: int

    @classmethod
    def of(cls, samples: Mapping[str, Sequence[float]]) -> Comparison:
        """Compare samples that can be paired, by trial number in words, and FP32's."""
        numbers = [int(name) for name in samples if name != FP32]
        ratios: dict[int, dict[int, RatioEstimate]] = {number: {} for number in numbers}
        for a, b in itertools.permutations(numbers, 2):
            ratios[a][b] = paired_ratio(samples[str(a)], samples[str(b)])
        fp32 = samples[FP32]
        return cls(
            ratios,
            {number: paired_ratio(fp32, samples[str(number)]) for number in numbers},
            relative_spread(fp32),
            len(fp32),
        )


def compare_until(
    decided: Callable[[Comparison], bool],
    time_rounds: TimeRounds,
    *,
    rounds: int,
    minimum: int,
    is_time: Callable[[], bool],
) -> Comparison:
    """Time models side by side until they can be told apart or the time is up.

    Args:
        decided: Whether a comparison says enough.
        time_rounds: Times some more rounds.
        rounds: Of the first look.
        minimum: Rounds of the first look that are timed even when the time is up.
        is_time: Whether there is time for more.
    """
    samples = {name: list(seconds) for name, seconds in time_rounds(rounds, minimum).items()}
    comparison = Comparison.of(samples)
    for look in LATER_LOOKS:
        if decided(comparison) or not is_time():
            break
        for name, seconds in time_rounds(look * rounds - comparison.rounds, 0).items():
            samples[name].extend(seconds)
        comparison = Comparison.of(samples)
    return comparison


def relative_spread(samples: Sequence[float]) -> float:
    """Standard deviation over median of timings, from their quartiles.

    So a few outliers do not count, and a machine that disturbs every third timing does.
    """
    low, median, high = np.quantile(np.asarray(samples, float), (0.25, 0.5, 0.75))
    return float((high - low) / (_QUARTILES_TO_SD * median)) if median else 0.0
