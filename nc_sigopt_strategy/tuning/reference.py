"""The model that all latencies of an experiment are ratios to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from nc_sigopt_strategy.experiments import record
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.tuning.host import Model

_DEFAULT, _FP32 = "default", "fp32"


class Reference:
    """The default int8 model, or FP32 where that one failed; which it is stands in the record.

    Args:
        meter: Times models against it.
        experiment: Whose record names it, so that latencies mean the same in later processes.
        default_model: Quantizes the default configuration.
    """

    def __init__(
        self, meter: Meter, experiment: Experiment, default_model: Callable[[], Model]
    ) -> None:
        self._meter = meter
        self._experiment = experiment
        self._default_model = default_model

    @property
    def is_fixed(self) -> bool:
        """Whether models can be timed against it."""
        return self._meter.has_reference

    def fix(self, model: Model, *, is_default: bool) -> None:
        """Fix it, once the first model of an experiment is there.

        Args:
            model: That model.
            is_default: Whether it is the default int8 model.
        """
        self._meter.set_reference(model if is_default else None)
        if self._meter.reference_seconds is not None:
            kept = record.Reference(
                _DEFAULT if is_default else _FP32,
                self._meter.reference_seconds,
                self._meter.fp32_seconds,
            )
            known = self._experiment.read_record()
            self._experiment.write_record(dataclasses.replace(known, reference=kept))

    def restore(self) -> bool:
        """Build the one that the record names again; False while it names none."""
        if self._meter.uses_latency_func:
            return False
        known = self._experiment.read_record().reference
        if known is None:
            return False
        model = self._default_model() if known.model == _DEFAULT else None
        self._meter.set_reference(model, known.seconds)
        return True
