"""The probes of an experiment as arrays, beside those of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.probes import Probe
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace

# Relative standard error of a probe's latency that comes without one.
_USUAL_ERROR = 0.03


@dataclass(frozen=True)
class ProbeArrays:
    """What was built and measured without being evaluated; K probes.

    Attributes:
        choices: Value positions, shape (K, P).
        noise: Output noise, shape (K,); NaN where it was not measured.
        noise_error: Its relative standard error, shape (K,).
        latency: Shape (K,); NaN where it was not measured.
        latency_stderr: Shape (K,).
        op_latency: What the op of each parameter takes by a profiler, shape (K, P); NaN where it
            does not tell.
        op_latency_error: The relative standard error of those, shape (K,).
    """

    choices: Integers
    noise: Floats
    noise_error: Floats
    latency: Floats
    latency_stderr: Floats
    op_latency: Floats
    op_latency_error: Floats

    @classmethod
    def of(cls, probes: Sequence[Probe], space: OpSpace) -> ProbeArrays:
        """Parameters that a probe does not name have their last value, the most precise one.

        Probes of parameters or values that the space does not have are left out.
        """
        positions = [
            {label: v for v, label in enumerate(row)}
            for _, row in zip(space.names, space.labels, strict=True)
        ]
        number = {name: p for p, name in enumerate(space.names)}
        choices, kept = [], []
        for probe in probes:
            choice = space.sizes - 1
            try:
                for name, value in probe.values.items():
                    choice[number[name]] = positions[number[name]][value]
            except KeyError:
                continue
            choices.append(choice)
            kept.append(probe)
        latency = _column([probe.latency for probe in kept])
        op_latency = np.full((len(kept), len(space.names)), np.nan)
        for k, probe in enumerate(kept):
            for name, time in probe.op_latency.items():
                if name in number:
                    op_latency[k, number[name]] = time
        stderr = _column([probe.latency_stderr for probe in kept])
        return cls(
            choices=np.stack(choices) if choices else np.empty((0, len(space.names)), np.int64),
            noise=_column([probe.noise for probe in kept]),
            noise_error=np.array([probe.noise_error for probe in kept], float),
            latency=latency,
            latency_stderr=np.maximum(
                np.where(np.isnan(stderr), _USUAL_ERROR * latency, stderr), 1e-4 * latency
            ),
            op_latency=op_latency,
            op_latency_error=np.array([probe.op_latency_error for probe in kept], float),
        )

    @property
    def noisy(self) -> npt.NDArray[np.bool_]:
        """Which were measured for noise and have some, shape (K,)."""
        found: npt.NDArray[np.bool_] = np.nan_to_num(self.noise) > 0
        return found

    @property
    def timed(self) -> npt.NDArray[np.bool_]:
        """Which were timed, shape (K,)."""
        found: npt.NDArray[np.bool_] = ~np.isnan(self.latency)
        return found


def _column(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], float)
