"""At which damage accuracy meets its bound, with the uncertainty of that.

Accuracy is taken to fall as ``baseline * exp(-rate * (damage / limit) ** power)``, the rate such
that the bound is met exactly at the limit. Limit, power and sampling error are unknown; their
posterior is computed on a grid. Errors are Student's t, and grow with the distance from the
bound, where the curve need not be right.

What one measured configuration is truly worth lies between the curve and its own measurement: each
counts by the inverse of its variance (the conjugate normal model; Gelman et al., "Bayesian Data
Analysis", 2013, section 2.5), in each cell of the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.quantization.op_space import Floats

_POWERS = np.array([0.35, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6])
_POWER_PRIOR = np.array([0.4, 0.8, 1.0, 1.0, 0.9, 0.5, 0.25])
_LIMITS = 48
_ERRORS = 5
_DEGREES_OF_FREEDOM = 5.0
_MISFIT = 0.15
# Of the variance around the curve: what is the configuration's own, and not its images' luck.
_OWN_SHARE = 0.2
# Rows that are used at most: those nearest to the bound say the most.
_ROWS = 120


@dataclass(frozen=True)
class Judged:
    """What N measured configurations are expected to be worth on other images of the same kind.

    Attributes:
        probability: That the accuracy on all such images is at least the bound, shape (N,).
        spare: Accuracy above the bound that is expected, in accuracy's own units, shape (N,).
        luck: Standard deviation of what the choice of images adds to one accuracy.
    """

    probability: Floats
    spare: Floats
    luck: float


class AccuracyModel:
    """The posterior of the damage limit.

    Args:
        damage: Shape (N,), at least 0.
        accuracy: Shape (N,), higher is better.
        bound: Least accuracy that is accepted.
        baseline: Accuracy without any damage; ``None``: estimated from the least damaged.
    """

    def __init__(
        self, damage: Floats, accuracy: Floats, bound: float, baseline: float | None = None
    ) -> None:
        top = float(np.max(damage)) if len(damage) else 1.0
        top = top or 1.0
        if baseline is None:
            intact = accuracy[damage <= 1e-3 * top]
            baseline = float(np.mean(intact)) if len(intact) else float(np.max(accuracy))
        drop = max(baseline - bound, 1e-4 * max(abs(baseline), 1e-6))
        near = np.argsort(np.abs(accuracy - bound))[:_ROWS]
        damage, accuracy = np.maximum(damage[near], 1e-9 * top), accuracy[near]
        self.limits = np.geomspace(top * 1e-4, top * 30.0, _LIMITS)
        errors = np.geomspace(0.05, 3.0, _ERRORS) * drop
        scale = max(abs(baseline), drop)
        rate = -np.log1p(-drop / scale) if drop < scale else 1.0
        # Axes: limit, power, error, row.
        ratio = (damage / self.limits[:, None, None]) ** _POWERS[None, :, None]
        lost = scale * -np.expm1(-rate * np.minimum(ratio, 1e4))
        variance = errors[:, None] ** 2 + (_MISFIT * np.abs(lost - drop)[:, :, None, :]) ** 2
        residual2 = (baseline - accuracy - lost)[:, :, None, :] ** 2 / variance
        log = -0.5 * (_DEGREES_OF_FREEDOM + 1) * np.log1p(residual2 / _DEGREES_OF_FREEDOM)
        log = (log - 0.5 * np.log(variance)).sum(axis=-1)
        log += np.log(_POWER_PRIOR)[None, :, None]
        # Errors around a third of the allowed drop; limits around a tenth of the worst damage.
        log -= 0.5 * (np.log(errors / (0.4 * drop)) / 1.0)[None, None, :] ** 2
        log -= 0.5 * ((np.log(self.limits / top) + 2.3) / 2.5)[:, None, None] ** 2
        mass = np.exp(log - log.max())
        self.probabilities: Floats = mass.sum(axis=(1, 2)) / mass.sum()
        self._mass: Floats = mass.sum(axis=2) / mass.sum()
        self._joint: Floats = mass / mass.sum()
        self._errors = errors
        self._scale, self._rate, self._drop = scale, float(rate), float(drop)
        self._baseline = baseline

    def expected_loss(self, damage: Floats) -> Floats:
        """Accuracy that damages of any shape are expected to cost, in accuracy's own units."""
        result: Floats = (self._lost(damage) * self._mass).sum(axis=(-2, -1))
        return result

    def judged(self, damage: Floats, accuracy: Floats) -> Judged:
        """What measured configurations are worth on all images of the kind, not on those used.

        Args:
            damage: Shape (N,), at least 0.
            accuracy: As it was measured, shape (N,).
        """
        curve = self._lost(damage)[..., None]  # axes: row, limit, power, error
        error2 = self._errors**2
        own = _OWN_SHARE * error2 + (_MISFIT * np.abs(curve - self._drop)) ** 2
        luck = (1.0 - _OWN_SHARE) * error2
        trust = own / (own + luck)
        measured = (self._baseline - accuracy)[:, None, None, None]
        lost = curve + trust * (measured - curve)
        spare = self._drop - lost
        holds = _normal_cdf(spare / np.sqrt(trust * luck))
        axes = (1, 2, 3)
        return Judged(
            probability=(self._joint * holds).sum(axis=axes),
            spare=(self._joint * spare).sum(axis=axes),
            luck=float(np.sqrt((self._joint * luck).sum())),
        )

    def _lost(self, damage: Floats) -> Floats:
        """Accuracy lost by the curve; damages of any shape, then the axes limit and power."""
        ratio = np.maximum(damage, 0.0)[..., None, None] / self.limits[:, None]
        lost: Floats = -np.expm1(-self._rate * np.minimum(ratio**_POWERS, 1e4))
        return self._scale * lost

    def quantile(self, share: float) -> float:
        """The limit below which this share of the posterior lies."""
        edges = np.sqrt(self.limits[1:] * self.limits[:-1])
        below = np.cumsum(self.probabilities)[:-1]
        return float(np.exp(np.interp(share, below, np.log(edges))))


def _normal_cdf(z: Floats) -> Floats:
    """Share of a standard normal distribution below each value, to 1e-7.

    The rational approximation 26.2.17 of Abramowitz and Stegun, "Handbook of Mathematical
    Functions", 1964; numpy has none of its own.
    """
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    powers = 0.319381530 + t * (
        -0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))
    )
    above = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * t * powers
    result: Floats = np.where(z > 0, 1.0 - above, above)
    return result
