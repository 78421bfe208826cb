"""What single ops take more in one type than in another, as profiles of whole models tell.

A profile gives the time of each op in the types of one model. What that adds to the latency of
other models is not known, the framework's own time around the ops for one; what the same op takes
more in another type is: it is the difference of two profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays

# What an op too small for a profiler's clock is off by, as a share of an op's usual time.
_LEAST_ERROR = 0.05


@dataclass(frozen=True)
class OpContrasts:
    """C differences of one op's times in a type and in the op's first type.

    Attributes:
        ops: Position of the parameter, shape (C,).
        types: The type that ``difference`` is the price of, shape (C,).
        difference: Time in ``types`` less that in the first type, in the unit of latencies,
            shape (C,).
        stderr: Its standard error, shape (C,), above 0.
    """

    ops: Integers
    types: Integers
    difference: Floats
    stderr: Floats

    @classmethod
    def of(cls, probes: ProbeArrays, space: OpSpace) -> OpContrasts:
        """Each further type of an op; none where its first type was not profiled.

        What the first one is off by is in all differences of an op; they are taken for
        independent.
        """
        profiled = ~np.isnan(probes.op_latency)
        if not profiled.any():
            return cls.none()
        types = space.types_of(probes.choices)
        first = space.type_of[:, 0]
        base, base_error = _mean(probes, profiled & (types == first))
        found = []
        for kind in range(len(space.types)):
            time, error = _mean(probes, profiled & (types == kind) & (first != kind))
            known = np.flatnonzero(~np.isnan(time - base))
            off = np.hypot(error, base_error)[known]
            found.append((known, np.full(len(known), kind), (time - base)[known], off))
        ops, kinds, difference, stderr = map(np.concatenate, zip(*found, strict=True))
        least = max(_LEAST_ERROR * float(np.median(probes.op_latency[profiled])), 1e-12)
        return cls(ops, kinds, difference, np.hypot(stderr, least))

    @classmethod
    def none(cls) -> OpContrasts:
        """Of no op."""
        nobody = np.empty(0, np.int64)
        return cls(nobody, nobody, np.empty(0), np.empty(0))


def _mean(probes: ProbeArrays, which: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mean time of each op over profiles, and its error; shape (P,), NaN where there is none.

    Args:
        probes: The profiles.
        which: Those that count for an op, shape (K, P).
    """
    count = np.where(which.any(axis=0), which.sum(axis=0), np.nan)
    time = np.where(which, probes.op_latency, 0.0).sum(axis=0) / count
    error = np.where(which, probes.op_latency_error[:, None], 0.0).sum(axis=0) / count
    return time, error * time
