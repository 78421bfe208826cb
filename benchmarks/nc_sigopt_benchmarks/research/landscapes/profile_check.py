"""How true a landscape's profiles are: beside what its surrogate learned from whole models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.landscapes.latency_fit import AdditiveLatency
from nc_sigopt_strategy.sampling.probes import OP_LATENCY_ERROR

_LEAST_OPS = 3


@dataclass(frozen=True)
class ProfileCheck:
    """What ops cost more in other types than in their default, twice.

    Attributes:
        ops: How many differences are compared.
        correlation: Between the profiles' and the surrogate's, -1 to 1.
        in_errors: Median of how far they are apart, over the error that profiles state.
    """

    ops: int
    correlation: float
    in_errors: float


def check_profiles(landscape: Landscape, latency: AdditiveLatency) -> ProfileCheck | None:
    """Compare; ``None`` where there are no profiles, or too few ops to say anything.

    Args:
        landscape: With its profiles.
        latency: Its surrogate, whose terms of single ops are compared with the profiles.
    """
    default = tuple(landscape.default.tolist())
    if default not in landscape.profiles:
        return None
    times = {
        choice: shares * float(landscape.latency(np.array([choice]))[0])
        for choice, shares in landscape.profiles.items()
    }
    base, told, learned, stated = times[default], [], [], []
    for choice, time in times.items():
        for p, (value, usual) in enumerate(zip(choice, default, strict=True)):
            if value != usual and not np.isnan(time[p] - base[p]):
                told.append(time[p] - base[p])
                learned.append(latency.unary[p][value] - latency.unary[p][usual])
                stated.append(OP_LATENCY_ERROR * np.hypot(time[p], base[p]))
    if len(told) < _LEAST_OPS or not np.std(told) or not np.std(learned):
        return None
    apart = np.abs(np.subtract(told, learned)) / np.maximum(stated, 1e-12)
    return ProfileCheck(
        len(told), float(np.corrcoef(told, learned)[0, 1]), float(np.median(apart))
    )
