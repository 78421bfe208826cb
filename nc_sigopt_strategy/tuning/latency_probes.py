"""Latency probes: whole models that are timed, and what a profiler says of their ops.

FP32, all bf16, the default int8 model, and a mixed one in which every other op is in int8: the
profiles of the first three tell what ops cost in each type, the last what changes of type cost.
None is evaluated, and FP32 is there already, so three models have to be built. The noise of what
is timed is measured on the way; all bf16 is the only one that tells what noise bf16 makes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from nc_sigopt_strategy.errors import named
from nc_sigopt_strategy.sampling.probes import Probe
from nc_sigopt_strategy.space.ops import type_of
from nc_sigopt_strategy.tuning.host import Model
from nc_sigopt_strategy.tuning.start import Start

logger = logging.getLogger("nc_sigopt_strategy")

# What is done in a few words, and the doing.
Step = tuple[str, Callable[[], list[Probe]]]
BF16, FP32 = "bf16", "fp32"


class LatencyProbes:
    """Makes the latency probes that an experiment does not have yet.

    Args:
        start: Host, space and meter.
        exact: Assignments with every op in its most precise type.
        default_seconds: Latency of the default int8 model; ``None`` where it is not known.

    Attributes:
        in_bf16: What differs from ``exact`` with every op in bf16 that can be.
    """

    def __init__(
        self, start: Start, exact: Mapping[str, str], default_seconds: float | None
    ) -> None:
        self._host, self._meter = start.preparation.host, start.meter
        self._space = start.preparation.space
        self._exact = exact
        self._default_seconds = default_seconds
        labels = self._space.decode(dict(exact)).labels.values()
        self._exact_is_fp32 = all(type_of(label) == FP32 for label in labels)
        self._ops = [p for p in self._space.parameters if p.ops]
        self.in_bf16 = {
            p.name: BF16 for p in self._ops if BF16 in p.values and exact[p.name] != BF16
        }
        self._default = {
            p.name: self._space.default[p.name]
            for p in self._ops
            if self._space.default[p.name] != exact[p.name]
        }

    def missing(self, found: Sequence[Probe]) -> Iterator[Step]:
        """What is to be done, one after the other.

        Args:
            found: The probes that there are; what a step gives is to be among them before the
                next one is asked for.
        """
        if self._meter.fp32_seconds is not None and not _is_timed(found, {}):
            yield "profiling FP32", self._fp32
        if self.in_bf16 and not _is_timed(found, self.in_bf16):
            yield "timing bf16", lambda: self._timed(self.in_bf16, profiled=True)
        # One profile alone tells of no op what it costs more in another type.
        if _is_profiled(found, {}) and not _is_profiled(found, self._default):
            yield "profiling the default int8 model", self._default_profiled
        mixed = {p.name: self._default[p.name] for p in self._ops[::2] if p.name in self._default}
        if mixed and not _is_timed(found, mixed):
            # Of mixed types a profile could only guess which op a conversion belongs to.
            yield "timing a mixed model", lambda: self._timed(mixed, profiled=False)

    def _fp32(self) -> list[Probe]:
        seconds = self._meter.fp32_seconds
        if seconds is None:
            return []
        if not self._exact_is_fp32:
            return self._timed({}, profiled=True)
        ways = (
            (lambda: self._profile(self._host.fp32, seconds)),
            (lambda: self._exact_profile(seconds)),
        )
        profile = next((found for way in ways if (found := _unless_it_fails(way))), {})
        error = self._meter.fp32_stderr or None
        return [Probe({}, latency=seconds, latency_stderr=error, op_latency=profile)]

    def _exact_profile(self, seconds: float) -> dict[str, float]:
        """Of FP32 as the host makes it, where the user's model does not have the ops by name."""
        model = self._built({})
        try:
            return self._profile(model, seconds)
        finally:
            self._host.backend.release(model)

    def _timed(self, values: Mapping[str, str], *, profiled: bool) -> list[Probe]:
        model = self._built(values)
        try:
            measured = self._meter.measure(model)
            seconds = measured.latency_seconds
            profile = _unless_it_fails(lambda: self._profile(model, seconds)) if profiled else {}
        finally:
            self._host.backend.release(model)
        return [
            Probe(
                values,
                noise=measured.output_noise,
                latency=seconds,
                latency_stderr=measured.latency_stddev,
                op_latency=profile,
            )
        ]

    def _default_profiled(self) -> list[Probe]:
        if self._default_seconds is None:
            return []
        model = self._built(self._default)
        try:
            profile = self._profile(model, self._default_seconds)
        finally:
            self._host.backend.release(model)
        # Its latency is a trial's already.
        return [Probe(self._default, op_latency=profile)] if profile else []

    def _built(self, values: Mapping[str, str]) -> Model:
        return self._host.quantize(self._space.decode({**self._exact, **values}))

    def _profile(self, model: Model, seconds: float) -> dict[str, float]:
        """What ops take, in seconds of a model that is not profiled; none if nobody tells."""
        names = [name for p in self._ops for name, _ in p.ops]
        times = self._meter.op_times(model, names)
        if times is None:
            return {}
        scale = seconds / times.total
        return {
            p.name: _rounded(scale * took)
            for p in self._ops
            if (took := times.of([name for name, _ in p.ops])) is not None
        }


def _unless_it_fails(make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """A profile, or none: a latency that was measured already is worth keeping without."""
    try:
        return make()
    except Exception as error:  # whatever the host or the framework's profiler raises
        logger.debug("A profile failed: %s", named(error))
        return {}


def _rounded(seconds: float) -> float:
    """To the digits that mean something: a SigOpt server has little room for a record."""
    return float(f"{seconds:.4g}")


def _is_timed(found: Sequence[Probe], values: Mapping[str, str]) -> bool:
    return any(probe.latency is not None and probe.values == values for probe in found)


def _is_profiled(found: Sequence[Probe], values: Mapping[str, str]) -> bool:
    return any(bool(probe.op_latency) and probe.values == values for probe in found)
