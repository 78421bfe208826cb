"""What single ops take more in one type than in another, as profiles of whole models tell.

A profile gives the time of each op in the types of one model. What that adds to the latency of
other models is not known, the framework's own time around the ops for one; what the same op takes
more in another type is: it is the difference of two profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays

# What an op too small for a profiler's clock is off by, as a share of an op's usual time.
_LEAST_ERROR = 0.05


@dataclass(frozen=True)
class OpContrasts:
    """C differences of one op's times in two types.

    Attributes:
        ops: Position of the parameter, shape (C,).
        types: The type that ``difference`` is the price of, shape (C,).
        others: The type that it is compared with, shape (C,).
        difference: Time in ``types`` less that in ``others``, in the unit of latencies, shape
            (C,).
        stderr: Its standard error, shape (C,), above 0.
    """

    ops: Integers
    types: Integers
    others: Integers
    difference: Floats
    stderr: Floats

    @classmethod
    def of(cls, probes: ProbeArrays, space: OpSpace) -> OpContrasts:
        """Each further type of an op against the first one that was profiled.

        Types are in the order in which the op's values have them. What the first one is off by
        is in all differences of an op; they are taken for independent.
        """
        profiled = ~np.isnan(probes.op_latency)
        usual = float(np.nanmedian(probes.op_latency)) if profiled.any() else 0.0
        types = space.types_of(probes.choices)
        found = []
        for p in np.flatnonzero(profiled.any(axis=0)):
            rows = np.flatnonzero(profiled[:, p])
            times = {}
            for kind in dict.fromkeys(space.type_of[p].tolist()):
                same = rows[types[rows, p] == kind]
                if len(same):
                    time = float(probes.op_latency[same, p].mean())
                    times[kind] = time, float(probes.op_latency_error[same].mean()) * time
            (other, (base, error)), *rest = times.items()
            found += [
                (p, kind, other, time - base, float(np.hypot(off, error)))
                for kind, (time, off) in rest
            ]
        table = np.array(found, float).reshape(len(found), 5)
        ops, kinds, others = table[:, :3].T.astype(np.int64)
        least = max(_LEAST_ERROR * usual, 1e-12)
        return cls(ops, kinds, others, table[:, 3], np.hypot(table[:, 4], least))
