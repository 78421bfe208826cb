"""Damage as a sum of what each quantized op does, with sensitivities that are never negative.

The sensitivities are log-normal, so a few may be a thousand times the others. The types of one op
share a level, and so do all floating-point values of a type: what rounding does beside quantizing
differs between models by a factor of a hundred. The posterior mode is found by Gauss-Newton steps
in the logarithms. From there Hamiltonian trajectories go through the posterior (Neal, "MCMC Using
Hamiltonian Dynamics", 2011), in the coordinates that the Laplace approximation at the mode whitens
(Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays
from nc_sigopt_strategy.sampling.quantization.stated_errors import error_scale

ROUNDS = 3
NEWTON_STEPS = 10
WARM_UP, LEAPS, STEP = 10, 6, 0.12
DEGREES_OF_FREEDOM = 5.0
_SPREAD, _VARIANT_SPREAD, _FLOAT_SPREAD = 1.8, 0.8, 1.0
# Rounding to 8 bits of mantissa against rounding to 8 bits of the whole range, in noise power, as
# a logarithm, and how far that is off for a whole model: about -7 by the bits alone, -2 as
# recorded for bf16 on MobileNet_v1 and ResNet50_v1.
_FLOAT_LEVEL, _FLOAT_LEVEL_SPREAD = -5.0, 2.5
_ERROR = 0.1
_INERTIA = 4.0
# Of a step in the logarithms: the draws find their way from there.
_CONVERGED = 0.01
# The relative error that probes have at least while nothing has been compared with trials.
_DOUBT = 1.0
# Less than this share of the largest damage is none.
_NONE = 1e-9


class NoiseModel:
    """The posterior over sensitivities.

    Without standard errors those are taken of the logarithms of the damage: of a sum of positive
    terms that is an error of the same kind up and down, however many decades it is off by.

    Args:
        space: The search space.
        choices: Value positions of measured trials, shape (N, P), N at least 1.
        damage: What they did, shape (N,): output noise, or the loss of accuracy.
        stderr: Standard errors of the damage, shape (N,); ``None``: relative ones, estimated.
        probes: Output noise of further models; ``None`` where damage is something else.
    """

    def __init__(
        self,
        space: OpSpace,
        choices: Integers,
        damage: Floats,
        stderr: Floats | None = None,
        probes: ProbeArrays | None = None,
    ) -> None:
        self._space = space
        self._columns = _columns(space)
        own = np.zeros(len(damage))
        if probes is not None and probes.noisy.any():
            choices = np.concatenate([choices, probes.choices[probes.noisy]])
            damage = np.concatenate([damage, probes.noise[probes.noisy]])
            own = np.concatenate([own, probes.noise_error[probes.noisy]])
        x = (choices[:, self._columns[:, 0]] == self._columns[:, 1]).astype(float)
        self._unit = float(np.max(np.abs(damage))) or 1.0
        y = damage / self._unit
        self._in_logarithms = stderr is None
        if stderr is None:
            # Rows without damage, or without an op that may do some, say nothing in logarithms.
            told = (y > _NONE) & x.any(axis=1)
            self._fit(x[told], y[told], None, own[told])
        else:
            self._fit(x, y, stderr / self._unit, own)

    def draws(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the damage of each value, shape (count, P, V); zero for the exact ones."""
        whiten = self._whiten
        # From the mode: a draw of the approximation may lie where exponentials run away.
        z = np.zeros(len(self._mode))
        value, slope = self._posterior(self._mode)
        slope = whiten.T @ slope
        found = []
        for n in range(WARM_UP + count):
            step = STEP * rng.uniform(0.6, 1.2)
            momentum = rng.standard_normal(len(z))
            energy = value - 0.5 * momentum @ momentum
            new, new_value, new_slope = z, value, slope
            for _ in range(LEAPS):
                momentum = momentum + 0.5 * step * new_slope
                new = new + step * momentum
                new_value, gradient = self._posterior(self._mode + whiten @ new)
                new_slope = whiten.T @ gradient
                momentum = momentum + 0.5 * step * new_slope
            if np.log(rng.random()) < new_value - 0.5 * momentum @ momentum - energy:
                z, value, slope = new, new_value, new_slope
            if n >= WARM_UP:
                found.append(self._table(np.exp(self._mode + whiten @ z)))
        return np.array(found)

    def _table(self, sensitivities: Floats) -> Floats:
        table = np.zeros(self._space.type_of.shape)
        table[self._columns[:, 0], self._columns[:, 1]] = sensitivities * self._unit
        return table

    def _posterior(self, u: Floats) -> tuple[float, Floats]:
        """Log density of log sensitivities and its gradient."""
        s = np.exp(np.minimum(u, 20.0))
        off = u - self._level
        fall = self._prior @ off
        missed, slope = self._missed(self._x @ s)
        value = -0.5 * (missed @ missed) - 0.5 * (off @ fall)
        return float(value), -s * (self._x.T @ (slope * missed)) - fall

    def _missed(self, total: Floats) -> tuple[Floats, Floats]:
        """How far sums are from the damage, in errors, and the slope of that; shape (N,) each."""
        if not self._in_logarithms:
            return (total - self._y) * self._sharpness, self._sharpness
        total = np.maximum(total, _NONE)
        return np.log(total / self._y) * self._sharpness, self._sharpness / total

    def _hessian(self, s: Floats) -> Floats:
        """Curvature of the log density, of which second derivatives of a sum are left out."""
        slope = self._missed(self._x @ s)[1]
        # What has one column only, as most probes do, is curved along this one.
        steep = slope[self._mixed, None] * self._x[self._mixed] * s
        result: Floats = steep.T @ steep + self._prior
        alone = ~self._mixed
        result[np.diag_indices_from(result)] += s**2 * (slope[alone] ** 2 @ self._x[alone])
        return result

    def _fit(self, x: Floats, y: Floats, stderr: Floats | None, own: Floats) -> None:
        """Find the mode; the errors of the sum and of the probes are estimated on the way.

        Args:
            x: Which columns a row has, shape (N, columns).
            y: Damage in units of the largest, shape (N,).
            stderr: Errors of the rows, shape (N,); ``None``: relative ones.
            own: The relative errors that probes state, shape (N,); 0 for trials.
        """
        space, columns = self._space, self._columns
        quantized = space.is_quantized[columns[:, 0], columns[:, 1]]
        spread, error, scale = _SPREAD, _ERROR, 1.0
        probed, trials = own > 0, own <= 0
        self._x, self._y = x, y
        self._mixed = x.sum(axis=1) > 1
        level = self._level_of(np.abs(y[trials]))
        u = self._levels(x[probed] * quantized, y[probed], level)[columns[:, 0]]
        u = np.where(quantized, u, self._float_start(x, y, u + _FLOAT_LEVEL, quantized))
        kinds = np.where(quantized, -1, space.type_of[columns[:, 0], columns[:, 1]])
        weight = np.ones(len(y))
        for n in range(ROUNDS):
            claimed = np.where(probed, scale * own, error)
            # Trials tell first which probes are wrong: believed at once, those would win.
            doubted = np.where(probed, np.maximum(claimed, _DOUBT), claimed) if n == 0 else claimed
            if stderr is not None:
                claimed = doubted = error / _ERROR * stderr
            self._sharpness = np.sqrt(weight) / doubted
            self._prior, self._level = _prior(columns, kinds, level, spread)
            u = self._newton(u, NEWTON_STEPS if n == 0 else NEWTON_STEPS // 3)
            s = np.exp(u)
            covariance = np.linalg.inv(self._hessian(s))
            missed, slope = self._missed(x @ s)
            residual2 = (missed * doubted / claimed) ** 2 / weight
            weight = (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + residual2)
            used = len(u) - float(np.einsum("ij,ij->", self._prior, covariance))
            if probed.any():
                # What the sum is off by is for trials to say: probes have errors of their own.
                steep = slope[probed, None] * x[probed] * s
                reach = np.einsum("ij,ij->i", steep @ covariance, steep)
                used -= float(reach.sum())
                squares = (weight * residual2)[probed] + reach
                scale = error_scale(squares * scale**2) if n else scale
            free = max(float(trials.sum()) - used, 0.0)
            excess = (float((weight * residual2)[trials].sum()) + _INERTIA) / (free + _INERTIA)
            error = float(np.clip(error * np.sqrt(excess), 0.01, 1.0))
            marginal = np.diagonal(covariance)
            inside = u[quantized] if quantized.any() else u
            level = float(np.mean(inside))
            moment = (inside - level) ** 2 + (marginal[quantized] if quantized.any() else marginal)
            spread = float(
                np.sqrt((moment.sum() + _INERTIA * _SPREAD**2) / (len(moment) + _INERTIA))
            )
        # Its rows turn independent normal numbers into a draw of the approximation.
        self._whiten = np.linalg.cholesky(covariance)
        self._mode = u

    def _level_of(self, damage: Floats) -> float:
        """The logarithm of an even share for each op of what trials usually do."""
        usual = float(np.median(damage)) if len(damage) else 1.0
        return float(np.log(max(usual, _NONE) / max(self._space.is_op.sum(), 1)))

    def _levels(self, x: Floats, y: Floats, usual: float) -> Floats:
        """Where the search for the mode begins for each op, shape (P,).

        Sensitivities span decades, and far below the mode the slope is nearly flat: what a probe
        has found of an op, or of the smallest group that it is in, is where to begin.

        Args:
            x: Which quantized columns a probe has, shape (K, columns).
            y: What the probes found, shape (K,).
            usual: For ops without a probe.
        """
        levels = np.full(len(self._space.names), usual)
        members = x.sum(axis=1)
        for k in np.argsort(-members, kind="stable"):
            if members[k] > 0:
                ops = self._columns[x[k] > 0, 0]
                levels[ops] = np.log(max(float(y[k]), _NONE) / members[k])
        return levels

    @staticmethod
    def _float_start(
        x: Floats, y: Floats, usual: Floats, quantized: npt.NDArray[np.bool_]
    ) -> Floats:
        """Where the search begins for floating-point values, shape (columns,).

        Models without an integer op tell: their noise in even shares.
        """
        start = usual.copy()
        for row, found in zip(x, y, strict=True):
            members = row > 0
            if members.any() and not (members & quantized).any():
                start[members] = np.log(max(float(found), _NONE) / members.sum())
        return start

    def _newton(self, u: Floats, steps: int) -> Floats:
        value, gradient = self._posterior(u)
        damping = 0.0
        for _ in range(steps):
            hessian = self._hessian(np.exp(u))
            hessian[np.diag_indices_from(hessian)] += damping
            step = np.linalg.solve(hessian, gradient)
            step *= min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
            new_value, new_gradient = self._posterior(u + step)
            if new_value >= value - 1e-12:
                converged = float(np.abs(step).max()) < _CONVERGED
                u, value, gradient = u + step, new_value, new_gradient
                damping *= 0.2
                if converged:
                    break
            else:
                damping = max(4 * damping, 1.0)
        return u


def _columns(space: OpSpace) -> Integers:
    """(parameter, value) of every sensitivity, shape (columns, 2).

    The most precise float type is what the model is, so it does no damage. Of a parameter that
    is no op, the last value counts as doing none.
    """
    columns = []
    for p, size in enumerate(space.sizes):
        last = int(size) - 1
        exact = space.types[space.type_of[p, last]] == "fp32" or not space.is_op[p]
        columns += [(p, v) for v in range(last if exact else last + 1)]
    return np.array(columns, np.int64).reshape(len(columns), 2)


def _prior(
    columns: Integers, kinds: Integers, level: float, spread: float
) -> tuple[Floats, Floats]:
    """Precision matrix and mean of the log sensitivities.

    Each is its op's level plus an offset of its own; floating-point values have an offset of
    their type, too. Levels and offsets of types are integrated out.

    Args:
        columns: (parameter, value) of each sensitivity, shape (columns, 2).
        kinds: The type of floating-point values, -1 for integer ones, shape (columns,).
        level: Mean of the integer ones.
        spread: Standard deviation of those.
    """
    quantized = kinds < 0
    own = np.where(quantized, _VARIANT_SPREAD, _FLOAT_SPREAD) ** 2
    # An op with a single quantized value has the spread as a whole.
    shared = max(spread**2 - _VARIANT_SPREAD**2, 0.25)
    # The inverse of a block per op of ``shared`` everywhere plus ``own`` on its diagonal
    # (Sherman and Morrison, 1950).
    op = columns[:, 0]
    sums = np.bincount(op, weights=1.0 / own)[op] if len(op) else own
    pull = shared / (1.0 + shared * sums)
    precision = np.where(op[:, None] == op[None, :], -np.outer(1.0 / own, pull / own), 0.0)
    precision[np.diag_indices_from(precision)] += 1.0 / own
    for kind in np.unique(kinds[~quantized]):
        # The same once more, of what all values of a type have in common.
        pulled = precision[:, kinds == kind].sum(axis=1)
        common = float(pulled[kinds == kind].sum()) + _FLOAT_LEVEL_SPREAD**-2
        precision -= np.outer(pulled, pulled) / common
    return precision, level + np.where(quantized, 0.0, _FLOAT_LEVEL)
