"""At which damage accuracy meets its bound, with the uncertainty of that.

Accuracy is taken to fall as ``baseline * exp(-rate * (damage / limit) ** power)``, the rate such
that the bound is met exactly at the limit. Limit, power and sampling error are unknown; their
posterior is computed on a grid. Errors are Student's t, and grow with the distance from the
bound, where the curve need not be right.

What one measured configuration is truly worth lies between the curve and its own measurement: each
counts by the inverse of its variance (the conjugate normal model; Gelman et al., "Bayesian Data
Analysis", 2013, section 2.5), in each cell of the grid.

Where evaluations say how they differ from FP32 on single inputs, each accuracy comes with its
standard error, and more can be said. All configurations are evaluated on the same inputs, and what
is hard for one is hard for others: most of their luck is common to all of them, so that more
configurations do not average it out. This common luck is one more unknown of the grid.
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
# Of the variance of the luck that evaluations state: what all configurations have in common. On
# MobileNet_v1 the differences from FP32 of two configurations, image by image, have a correlation
# of 0.57 (all pairs of 202) to 0.7 (trials of two runs; docs/measurements/tuning.md).
_COMMON_SHARE = 0.7
# What the common luck may be, in standard deviations, and how probable each value is: Gauss and
# Hermite's five points.
_NEAR, _FAR = np.sqrt(5 - np.sqrt(10)), np.sqrt(5 + np.sqrt(10))
_COMMON = np.array([-_FAR, -_NEAR, 0.0, _NEAR, _FAR])
_COMMON_PRIOR = np.array([7 - 40**0.5, 7 + 40**0.5, 32, 7 + 40**0.5, 7 - 40**0.5]) / 60
# How far a noise limit that was expected beforehand is off, in logarithms, and how often it says
# nothing at all: on MobileNet_v1 the margins of 100 images say 3.3 times what is true (log: 1.2),
# those of four times 20 images 2.7 to 8.7 times.
_EXPECTED_ERROR, _MISLED = 1.0, 0.2
# Without: about a tenth of the worst damage.
_USUAL_LIMIT, _USUAL_SPREAD = -2.3, 2.5
_ALONE, _CERTAIN = np.zeros(1), np.ones(1)
# Rows that are used at most: those nearest to the bound say the most.
_ROWS = 120
# So many factors are multiplied before a logarithm is taken; none is beyond 1e±50.
_FACTORS = 4


@dataclass(frozen=True)
class Judged:
    """What N measured configurations are expected to be worth on other images of the same kind,
    as many as they were evaluated on.

    Attributes:
        probability: That the accuracy there is at least the bound, shape (N,).
        spare: Accuracy above the bound that is expected, in accuracy's own units, shape (N,).
        luck: Standard deviation of what the choice of images adds to each accuracy, shape (N,).
    """

    probability: Floats
    spare: Floats
    luck: Floats


class AccuracyModel:
    """The posterior of the damage limit.

    Args:
        damage: Shape (N,), at least 0.
        accuracy: Shape (N,), higher is better.
        bound: Least accuracy that is accepted.
        baseline: Accuracy without any damage; ``None``: estimated from the least damaged.
        stderr: Standard error of each accuracy's difference from the baseline, NaN where nobody
            knows, shape (N,); ``None`` if nowhere.
        expected_limit: The limit as it was expected before anything was tried, above 0.
    """

    def __init__(
        self,
        damage: Floats,
        accuracy: Floats,
        bound: float,
        baseline: float | None = None,
        stderr: Floats | None = None,
        expected_limit: float | None = None,
    ) -> None:
        top = float(np.max(damage)) if len(damage) else 1.0
        top = top or 1.0
        if baseline is None:
            intact = accuracy[damage <= 1e-3 * top]
            baseline = float(np.mean(intact)) if len(intact) else float(np.max(accuracy))
        drop = max(baseline - bound, 1e-4 * max(abs(baseline), 1e-6))
        near = np.argsort(np.abs(accuracy - bound))[:_ROWS]
        damage, accuracy = np.maximum(damage[near], 1e-9 * top), accuracy[near]
        stderr = None if stderr is None else stderr[near]
        self.limits = np.geomspace(top * 1e-4, top * 30.0, _LIMITS)
        errors = np.geomspace(0.05, 3.0, _ERRORS) * drop
        scale = max(abs(baseline), drop)
        rate = -np.log1p(-drop / scale) if drop < scale else 1.0
        self._errors = errors
        self._common: Floats = _ALONE if stderr is None else _COMMON
        prior = _CERTAIN if stderr is None else _COMMON_PRIOR
        luck2, shared = self._luck(len(damage), stderr)
        # Axes: limit, power, row; then limit, power, error, common luck, row.
        ratio = (damage / self.limits[:, None, None]) ** _POWERS[None, :, None]
        lost = scale * -np.expm1(-rate * np.minimum(ratio, 1e4))
        misfit2 = (_MISFIT * np.abs(lost - drop)) ** 2
        variance = (_OWN_SHARE * errors**2)[:, None, None] + luck2.transpose(1, 2, 0)
        variance = variance + misfit2[:, :, None, None, :]
        rest = (baseline - accuracy - lost)[:, :, None, None, :] - shared.transpose(1, 2, 0)
        log = -0.5 * (_DEGREES_OF_FREEDOM + 1) * _log_product(
            1.0 + rest**2 / variance / _DEGREES_OF_FREEDOM
        ) - 0.5 * _log_product(variance / drop**2)
        log += np.log(_POWER_PRIOR)[None, :, None, None]
        # Errors around a third of the allowed drop.
        log -= 0.5 * (np.log(errors / (0.4 * drop)) / 1.0)[None, None, :, None] ** 2
        log += _limit_prior(self.limits, top, expected_limit)[:, None, None, None]
        log += np.log(prior)
        mass = np.exp(log - log.max())
        self.probabilities: Floats = mass.sum(axis=(1, 2, 3)) / mass.sum()
        self._mass: Floats = mass.sum(axis=(2, 3)) / mass.sum()
        self._joint: Floats = mass / mass.sum()
        self._scale, self._rate, self._drop = scale, float(rate), float(drop)
        self._baseline = baseline

    def expected_loss(self, damage: Floats) -> Floats:
        """Accuracy that damages of any shape are expected to cost, in accuracy's own units."""
        result: Floats = (self._lost(damage) * self._mass).sum(axis=(-2, -1))
        return result

    def judged(self, damage: Floats, accuracy: Floats, stderr: Floats | None = None) -> Judged:
        """What measured configurations are worth on as many other images of the kind.

        Args:
            damage: Shape (N,), at least 0.
            accuracy: As it was measured, shape (N,).
            stderr: As for the model; ``None`` if the model was given none.
        """
        # Axes: row, limit, power, error, common luck.
        curve = self._lost(damage)[..., None, None]
        own = _OWN_SHARE * self._errors[:, None] ** 2
        own = own + (_MISFIT * np.abs(curve - self._drop)) ** 2
        luck2, shared = (part[:, None, None] for part in self._luck(len(damage), stderr))
        trust = own / (own + luck2)
        measured = (self._baseline - accuracy)[:, None, None, None, None] - shared
        lost = curve + trust * (measured - curve)
        spare = self._drop - lost
        # As many other inputs have as much luck of their own as these have.
        elsewhere = luck2 if stderr is None else luck2 + self._shared2(stderr)
        holds = _normal_cdf(spare / np.sqrt(trust * luck2 + elsewhere))
        # No noise at all: the same outputs as FP32's, on any input.
        intact = (damage <= 0)[:, None, None, None, None]
        spare, holds = np.where(intact, self._drop, spare), np.where(intact, 1.0, holds)
        axes = (1, 2, 3, 4)
        return Judged(
            probability=(self._joint * holds).sum(axis=axes),
            spare=(self._joint * spare).sum(axis=axes),
            luck=np.sqrt((self._joint * elsewhere).sum(axis=axes)),
        )

    @staticmethod
    def _shared2(stderr: Floats) -> Floats:
        """Variance of the common part of the luck, axes as in ``judged``."""
        shared2: Floats = _COMMON_SHARE * np.nan_to_num(stderr)[:, None, None, None, None] ** 2
        return shared2

    def _luck(self, rows: int, stderr: Floats | None) -> tuple[Floats, Floats]:
        """What images add to losses: variance of each row's own luck, and the common part.

        Both of shape (rows, errors, common luck); the common part is a loss, in accuracy's units.
        """
        shape = (rows, len(self._errors), len(self._common))
        unknown = np.broadcast_to(((1.0 - _OWN_SHARE) * self._errors**2)[:, None], shape)
        if stderr is None:
            return unknown, np.zeros(shape)
        known = ~np.isnan(stderr)[:, None, None]
        stated = np.nan_to_num(stderr)[:, None, None]
        luck2 = np.where(known, (1.0 - _COMMON_SHARE) * stated**2, unknown)
        shared = np.where(known, _COMMON_SHARE**0.5 * stated * self._common, 0.0)
        return luck2, np.broadcast_to(shared, shape)

    def _lost(self, damage: Floats) -> Floats:
        """Accuracy lost by the curve; damages of any shape, then the axes limit and power."""
        ratio = np.maximum(damage, 0.0)[..., None, None] / self.limits[:, None]
        lost: Floats = -np.expm1(-self._rate * np.minimum(ratio**_POWERS, 1e4))
        return self._scale * lost

    def quantile(self, share: float) -> float:
        """The limit below which this share of the posterior lies."""
        return float(self.quantiles(np.array([share]))[0])

    def quantiles(self, shares: Floats) -> Floats:
        """The limits below which these shares of the posterior lie, shape (K,)."""
        edges = np.sqrt(self.limits[1:] * self.limits[:-1])
        below = np.cumsum(self.probabilities)[:-1]
        result: Floats = np.exp(np.interp(shares, below, np.log(edges)))
        return result


def _log_product(factors: Floats) -> Floats:
    """Sum of the logarithms along the last axis; logarithms cost more than products."""
    count = factors.shape[-1]
    whole = count - count % _FACTORS
    parts = factors[..., :whole].reshape(*factors.shape[:-1], -1, _FACTORS).prod(axis=-1)
    result: Floats = np.log(parts).sum(axis=-1) + np.log(factors[..., whole:]).sum(axis=-1)
    return result


def _limit_prior(limits: Floats, top: float, expected: float | None) -> Floats:
    """The logarithm of how probable limits are beforehand, but for a constant; shape (limits,).

    Args:
        limits: Ascending, shape (limits,).
        top: The largest damage that was measured.
        expected: What was expected; ``None`` where nobody did.
    """
    usual: Floats = -0.5 * ((np.log(limits / top) - _USUAL_LIMIT) / _USUAL_SPREAD) ** 2
    if expected is None:
        return usual
    near = -0.5 * (np.log(limits / expected) / _EXPECTED_ERROR) ** 2
    result: Floats = np.logaddexp(
        np.log1p(-_MISLED) + near - np.log(_EXPECTED_ERROR),
        np.log(_MISLED) + usual - np.log(_USUAL_SPREAD),
    )
    return result


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
