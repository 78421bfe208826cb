"""How many inputs a model answers differently from FP32, by what all models that were tried show.

Small noise turns the answers whose margins are smaller than it, and those are as many as it is
large: a share that grows with the root of its power. So the models with much noise, of which the
answers are many, tell how few a model with little noise turns, which its own evaluation on some
hundred inputs never could: where none of 200 is turned, 1.5 % may be.

The standard error of an evaluation counts as if one more input were turned (Laplace's rule), as
nobody who knows nothing else can do better. Here the number that is expected at a model's noise is
known, and its own count moves that as far as single models differ: the posterior mean of a Poisson
rate with a Gamma prior (Gelman et al., "Bayesian Data Analysis", 2013, section 2.6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers

# How far rates of single models lie around that: as if this many inputs had been counted of each
# (a standard deviation of 35 %). Of 202 mixes of MobileNet_v1 on the same images at most 28 %.
_ALIKE = 8.0
# Where FP32 itself is asked about: so that no error is exactly zero.
_FEWEST = 1e-3
# What a division of a loss by that of one input may be off by.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class PairedErrors:
    """What N evaluations say of single inputs beside FP32; NaN where one says nothing.

    Attributes:
        stderr: Standard error of the accuracy's difference from FP32's, shape (N,).
        turned: On how many inputs the model differs from FP32, shape (N,).
    """

    stderr: Floats
    turned: Floats

    def of_rows(self, rows: Integers) -> PairedErrors:
        """Those of some of the evaluations."""
        return PairedErrors(self.stderr[rows], self.turned[rows])


@dataclass(frozen=True)
class TurnedInputs:
    """What evaluations say of other models than their own.

    Attributes:
        one: Variance of an accuracy that one turned input makes, above 0.
        rate: How many are turned, over the root of the damage; above 0.
    """

    one: float
    rate: float

    @classmethod
    def of(cls, damage: Floats, found: PairedErrors, weight: Floats) -> TurnedInputs | None:
        """The ratio estimate; ``None`` where no evaluation tells its inputs apart.

        Args:
            damage: Above 0, shape (N,).
            found: By N evaluations.
            weight: Of each, shape (N,).
        """
        known = ~np.isnan(found.stderr + found.turned)
        if not known.any():
            return None
        turned, weight = found.turned[known], weight[known]
        each = found.stderr[known] ** 2 / (turned + 1.0)
        one = float(each.min())
        # An evaluation that ended early had fewer inputs, of which each counts for more.
        whole = turned * np.sqrt(each / one)
        # Half an input more is Jeffreys' prior of the rate.
        rate = (weight @ whole + 0.5) / (weight @ np.sqrt(damage[known]))
        return cls(one, float(rate))

    def expected(self, damage: Floats) -> Floats:
        """How many inputs models of these damages, any shape, are expected to turn."""
        result: Floats = np.maximum(self.rate * np.sqrt(damage), _FEWEST)
        return result

    def variance(self, damage: Floats) -> Floats:
        """Of the accuracies of models of these damages that were not evaluated."""
        return self.one * self.expected(damage)

    def smoothed(self, damage: Floats, found: PairedErrors) -> Floats:
        """Standard errors that evaluated models have on as many other inputs, shape (N,).

        By what is expected of them and what was found; NaN where nothing was.

        Args:
            damage: At least 0, shape (N,).
            found: By N evaluations.
        """
        expected = self.expected(damage)
        turned = found.turned
        likely = expected * (_ALIKE + turned) / (_ALIKE + expected)
        share = np.where(np.isnan(turned), 1.0, likely / (turned + 1.0))
        result: Floats = found.stderr * np.sqrt(share)
        return result

    def counted(self, loss: float) -> float:
        """A loss that is allowed, above 0, as whole inputs: half an input above the most that may
        be lost (the continuity correction of the normal distribution), if that is less.
        """
        unit = self.one**0.5
        return float(min(loss, (np.floor(loss / unit + _ROUNDING) + 0.5) * unit))
