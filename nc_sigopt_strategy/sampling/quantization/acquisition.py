"""What a configuration promises: its expected improvement, feasibility included.

The mean over posterior draws of how much faster than the incumbent a configuration is, counted
only in draws where it keeps the bound (Gardner et al., "Bayesian Optimization with Inequality
Constraints", 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.quantization.damage import Damage
from nc_sigopt_strategy.sampling.quantization.latency_model import LatencyModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.settings.choices import EVEN_ODDS

# What keeps the bound in a smaller share of the draws than this, or than is asked for, is marked
# down steeply: accuracy is a sample, and a configuration that is too damaging and lucky would win
# the run.
TRUSTED, DISTRUST = 0.6, 4
# Where nothing is expected to improve, what is nearly as fast is told apart by this much.
NEARLY, TIE = 1.5, 1e-6


@dataclass(frozen=True)
class Acquisition:
    """Expected improvement over M draws of everything.

    Attributes:
        space: The search space.
        latency: The latency model.
        latency_draws: Its draws, M rows.
        damage: Draws of damage and limit.
        incumbent: Latency to improve on in each draw, shape (M,).
        blame: Of each op and type for failed trials, shape (P, T): the odds to run at all fall
            exponentially with its sum.
        confidence: In what share of the draws the bound is to be kept.
    """

    space: OpSpace
    latency: LatencyModel
    latency_draws: Floats
    damage: Damage
    incumbent: Floats
    blame: Floats
    confidence: float = EVEN_ODDS

    def __call__(self, choices: Integers) -> Floats:
        """Expected improvement of configurations, shape (N, P) to (N,)."""
        types = self.space.types_of(choices)
        latency = self.latency.latencies(self.latency_draws, types)
        incumbent = self.incumbent[:, None]
        gain = np.maximum(incumbent - latency, 0.0)
        gain += TIE * np.maximum(NEARLY * incumbent - latency, 0.0)
        kept = self.damage.kept(choices)
        trusted = max(TRUSTED, self.confidence)
        doubt = np.minimum(kept.mean(axis=0) / trusted, 1.0) ** DISTRUST
        runs = np.exp(-self.blame[np.arange(types.shape[1]), types].sum(axis=1))
        result: Floats = (gain * kept).mean(axis=0) * doubt * runs
        return result
