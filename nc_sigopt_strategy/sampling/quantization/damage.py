"""How much each value harms the model, and how much harm the bound allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.conventions import TuningExperiment
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.noise_model import NoiseModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays

# Where only accuracy is known: its error, as a share of the drop that is allowed and of the drop.
_ACCURACY_ERROR, _ACCURACY_MISFIT = 0.3, 0.15


@dataclass(frozen=True)
class Damage:
    """M draws from the posterior.

    Attributes:
        tables: Damage of each value, shape (M, P, V).
        limits: What is allowed in all, shape (M,).
    """

    tables: Floats
    limits: Floats

    def limit(self, confidence: float) -> float:
        """What is allowed in all with this probability, above 0 and below 1."""
        return float(np.quantile(self.limits, 1.0 - confidence))

    def of(self, choices: Integers) -> Floats:
        """Damage of configurations of shape (N, P) in each draw; shape (M, N)."""
        draws, count, values = self.tables.shape
        chosen = np.zeros((len(choices), count, values))
        chosen[np.arange(len(choices))[:, None], np.arange(count), choices] = 1.0
        result: Floats = self.tables.reshape(draws, -1) @ chosen.reshape(len(choices), -1).T
        return result

    def kept(self, choices: Integers) -> npt.NDArray[np.bool_]:
        """Whether configurations of shape (N, P) keep the limit in each draw; shape (M, N)."""
        result: npt.NDArray[np.bool_] = self.of(choices) <= self.limits[:, None]
        return result


def learn_damage(
    space: OpSpace,
    history: TrialArrays,
    experiment: TuningExperiment,
    rng: np.random.Generator,
    draws: int,
) -> Damage:
    """The posterior of damage and limit.

    Damage is output noise where it is measured, and its limit is learned from the accuracies.
    Elsewhere it is the loss of accuracy, whose limit is known.
    """
    if history.accuracy is None or history.bound is None:
        return Damage(np.zeros((draws, *space.type_of.shape)), np.ones(draws))
    baseline = experiment.baseline_accuracy
    if baseline is not None and not experiment.maximize_accuracy:
        baseline = -baseline
    # Open trials have an expected noise, but no accuracy.
    known = len(history.accuracy)
    if history.noise is not None:
        limit = AccuracyModel(
            history.noise[:known],
            history.accuracy,
            history.bound,
            baseline,
            history.accuracy_stderr,
            experiment.expected_noise_limit,
        )
        shares = (rng.permutation(draws) + 0.5) / draws
        limits = limit.quantiles(shares)
        model = NoiseModel(space, history.choices, history.noise, probes=history.probes)
        return Damage(_tables(model, rng, draws), limits)
    if baseline is None:
        baseline = float(history.accuracy.max())
    allowed = max(baseline - history.bound, 1e-6)
    lost = baseline - history.accuracy
    stderr = np.hypot(_ACCURACY_ERROR * allowed, _ACCURACY_MISFIT * lost)
    model = NoiseModel(space, history.choices[:known], lost, stderr)
    return Damage(_tables(model, rng, draws), np.full(draws, allowed))


def _tables(model: NoiseModel, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of the sensitivities; each stands twice, beside other draws of latency and limit."""
    half = model.draws(rng, -(-draws // 2))
    return np.tile(half, (2, 1, 1))[:draws]
