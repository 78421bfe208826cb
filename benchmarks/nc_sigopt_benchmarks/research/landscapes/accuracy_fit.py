"""Accuracy as a smooth, falling function of output noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from nc_sigopt_benchmarks.research.landscapes.landscape import Values

# Powers of noise by which accuracy falls; outside of them a curve is a step or flat.
_POWERS = (0.2, 2.0)
# Of the curve that is assumed for a model without real weights.
ASSUMED_BASELINE = 0.76
ASSUMED_BOUND_SHARE = 0.1
ASSUMED_POWER = 0.75


@dataclass(frozen=True)
class AccuracyCurve:
    """``baseline * exp(-(noise / scale) ** power)``: the baseline without noise, 0 in the end.

    Attributes:
        baseline: Of the FP32 model.
        scale: Noise at which accuracy is down to a share of 1/e.
        power: How steeply it falls, above 0.
        assumed: Whether the curve was assumed, not fitted.
    """

    baseline: float
    scale: float
    power: float
    assumed: bool = False

    def __call__(self, noise: Values) -> Values:
        """Accuracies at noises, any shape."""
        result: Values = self.baseline * np.exp(
            -((np.maximum(noise, 0) / self.scale) ** self.power)
        )
        return result

    def noise_at(self, accuracy: float) -> float:
        """The noise at which the curve has fallen to an accuracy between 0 and the baseline."""
        return self.scale * math.pow(math.log(self.baseline / accuracy), 1 / self.power)


def fit_accuracy(noises: Values, accuracies: Values, baseline: float) -> AccuracyCurve:
    """The curve of least squares through what was measured; outliers count less.

    Args:
        noises: Shape (rows,).
        accuracies: 0 to 1, same shape.
        baseline: Of the FP32 model.
    """

    def missed(point: Values) -> Values:
        return (
            AccuracyCurve(baseline, float(np.exp(point[0])), float(point[1]))(noises) - accuracies
        )

    scatter = 0.01
    found = least_squares(
        missed,
        x0=[0.0, 0.7],
        bounds=([-12.0, _POWERS[0]], [12.0, _POWERS[1]]),
        loss="soft_l1",
        f_scale=scatter,
    )
    return AccuracyCurve(baseline, float(np.exp(found.x[0])), float(found.x[1]))


def assumed_accuracy(default_noise: float, relative_bound: float) -> AccuracyCurve:
    """A curve for a model without real weights.

    Its baseline is ``ASSUMED_BASELINE``, and it meets a relative bound just at
    ``ASSUMED_BOUND_SHARE`` of the default int8 model's noise.
    """
    rate = float(-np.log1p(-relative_bound)) ** (1 / ASSUMED_POWER)
    scale = ASSUMED_BOUND_SHARE * default_noise / rate
    return AccuracyCurve(ASSUMED_BASELINE, scale, ASSUMED_POWER, assumed=True)
