"""Which accuracy to ask for next, where a whole front of models is wanted.

One bound per suggestion turns the search for a front into the usual one for the fastest model
within a bound (the epsilon-constraint method: Haimes, Lasdon and Wismer, "On a Bicriterion
Formulation of the Problems of Integrated System Identification and System Optimization", 1971).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nc_sigopt_strategy.sampling.conventions import Reading, TuningExperiment


def draw_threshold(
    readings: Sequence[Reading], experiment: TuningExperiment, rng: np.random.Generator
) -> float | None:
    """An accuracy between the worst that is of use and FP32's, uniformly drawn.

    Of use is what no other trial beats in accuracy and latency at once; its worst is the accuracy
    of the fastest trial. Without the baseline the best accuracy seen stands for FP32's.

    Args:
        readings: What the measured trials found.
        experiment: Its baseline and the direction of accuracy.
        rng: Where the draw comes from.

    Returns:
        A threshold in the metric's own units; ``None`` while there is nothing to draw between.
    """
    sign = 1.0 if experiment.maximize_accuracy else -1.0
    known = [(r.latency, -sign * r.accuracy) for r in readings if r.accuracy is not None]
    if not known:
        return None
    lowest = -min(known)[1]
    highest = max(-cost for _, cost in known)
    if experiment.baseline_accuracy is not None:
        highest = sign * experiment.baseline_accuracy
    # Where the fastest model is as good as FP32 there is nothing to ask for beyond it.
    return sign * float(rng.uniform(min(lowest, highest), highest))
