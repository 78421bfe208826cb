"""Probes: models that were built and measured, and never evaluated.

Output noise takes a few inputs and latency a few runs, while an accuracy takes the whole
evaluation set. So single ops, or groups of them, are looked at before the first trials, and the
samplers that model noise and latency take what was found as further rows, with stated errors.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# How far the noise of an op alone is from what it adds to a mix, as a relative standard error:
# measured sums of singles were 0.79 to 1.31 times the noise of random mixes (MobileNet_v1).
NOISE_ERROR = 0.2
# How far an op's time by a profiler is from what it takes in a model that is not profiled, as a
# relative standard error, until trials tell.
OP_LATENCY_ERROR = 0.2
_VALUES, _NOISE, _NOISE_ERROR = "values", "noise", "noise_error"
_OP_LATENCY, _OP_LATENCY_ERROR = "op_latency", "op_latency_error"
_LATENCY, _LATENCY_STDERR = "latency", "latency_stderr"
_FOUND, _DONE, _NOISE_LIMIT = "found", "done", "noise_limit"


@dataclass(frozen=True)
class Probe:
    """One model that was measured without being evaluated.

    Attributes:
        values: Parameter to value where it is not the most precise one.
        noise: Output noise, at least 0; ``None`` if it was not measured.
        noise_error: How far that is from what the values add to the noise of other models, as a
            relative standard error.
        latency: In the unit of the trials', above 0; ``None`` if it was not measured.
        latency_stderr: Its standard error, same unit.
        op_latency: Parameter to what its op takes in this model by the framework's profiler, in
            the unit of ``latency``, at least 0; empty if it was not profiled.
        op_latency_error: How far those are from what the op takes without a profiler, as a
            relative standard error.
    """

    values: Mapping[str, str]
    noise: float | None = None
    noise_error: float = NOISE_ERROR
    latency: float | None = None
    latency_stderr: float | None = None
    op_latency: Mapping[str, float] = field(default_factory=dict)
    op_latency_error: float = OP_LATENCY_ERROR

    def to_json(self) -> dict[str, Any]:
        """Plain data; what was not measured is left out."""
        plain: dict[str, Any] = {_VALUES: dict(self.values)}
        if self.noise is not None:
            plain |= {_NOISE: self.noise, _NOISE_ERROR: self.noise_error}
        if self.latency is not None:
            plain[_LATENCY] = self.latency
            if self.latency_stderr is not None:
                plain[_LATENCY_STDERR] = self.latency_stderr
        if self.op_latency:
            plain |= {
                _OP_LATENCY: dict(self.op_latency),
                _OP_LATENCY_ERROR: self.op_latency_error,
            }
        return plain

    @classmethod
    def from_json(cls, plain: object) -> Probe | None:
        """The inverse of ``to_json``; ``None`` where it is nothing that ``to_json`` gives."""
        if not isinstance(plain, Mapping) or not isinstance(plain.get(_VALUES), Mapping):
            return None
        noise, latency = _number(plain.get(_NOISE)), _number(plain.get(_LATENCY))
        if latency is not None and latency <= 0:
            latency = None
        profile = plain.get(_OP_LATENCY)
        numbers = {
            str(name): number
            for name, value in (profile.items() if isinstance(profile, Mapping) else ())
            if (number := _number(value)) is not None
        }
        if noise is None and latency is None and not numbers:
            return None
        return cls(
            values={str(name): str(value) for name, value in plain[_VALUES].items()},
            noise=noise,
            noise_error=_number(plain.get(_NOISE_ERROR)) or NOISE_ERROR,
            latency=latency,
            latency_stderr=_number(plain.get(_LATENCY_STDERR)),
            op_latency=numbers,
            op_latency_error=_number(plain.get(_OP_LATENCY_ERROR)) or OP_LATENCY_ERROR,
        )


@dataclass(frozen=True)
class Probing:
    """What an experiment has been told by probes.

    Attributes:
        found: The probes, in the order in which they were made.
        done: Whether no more are to come; a run that died in between leaves some to be made.
        noise_limit: The output noise that the bound is expected to allow, above 0; ``None`` where
            nothing tells.
    """

    found: tuple[Probe, ...] = ()
    done: bool = False
    noise_limit: float | None = None

    def without_profiles(self) -> Probing:
        """The same without the times of single ops."""
        bare = (dataclasses.replace(probe, op_latency={}) for probe in self.found)
        told = tuple(one for one in bare if one.noise is not None or one.latency is not None)
        return dataclasses.replace(self, found=told)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        limit = {} if self.noise_limit is None else {_NOISE_LIMIT: self.noise_limit}
        return {_FOUND: [probe.to_json() for probe in self.found], _DONE: self.done, **limit}

    @classmethod
    def from_json(cls, plain: object) -> Probing | None:
        """The inverse of ``to_json``; ``None`` where it is nothing of the kind.

        Anybody may have written the document, so what is no probe is left out.
        """
        if not isinstance(plain, Mapping) or not isinstance(plain.get(_FOUND), Sequence):
            return None
        found = (Probe.from_json(one) for one in plain[_FOUND])
        return cls(
            tuple(one for one in found if one is not None),
            plain.get(_DONE) is True,
            _number(plain.get(_NOISE_LIMIT)) or None,
        )


def _number(value: object) -> float | None:
    """A finite number of at least 0; ``None`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
