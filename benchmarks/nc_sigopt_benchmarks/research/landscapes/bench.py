"""Quantize one configuration after another and measure each against fixed references."""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    LandscapeRow,
    RecordedLatency,
)
from nc_sigopt_benchmarks.research.landscapes.profiles import Labels, RecordedProfile
from nc_sigopt_benchmarks.research.landscapes.subject import Making, Subject
from nc_sigopt_strategy.backends.backend import Array, ModelSession
from nc_sigopt_strategy.errors import DataError, named
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.measurement.latency import paired_ratio, time_side_by_side
from nc_sigopt_strategy.measurement.output_noise import output_noise

logger = logging.getLogger("nc_sigopt_strategy")

# Runs before the first timed one. The model has run for its output noise by then, on a batch of
# another size perhaps: one run lets the kernels settle.
_WARMUP = 2
# Where the reference takes this much longer than it did at its best, something else ran as well.
_DISTURBED = 1.2
_ATTEMPTS = 3


class Bench:
    """Measures configurations of one model; a context manager.

    Args:
        subject: The model and its data.
        batch_sizes: Inputs per timed batch.
        rounds: Pairs of timed runs, per batch size.
        noise_images: How many calibration images output noise is measured on.
        seed: Of the timing order.
        making: How models are made; ``None``: as a run makes them by default.
        with_latency: Whether configurations are timed.

    Attributes:
        quantizer: Neural Compressor on that model.
        baseline_accuracy: Of the FP32 model; ``None`` without evaluation images.
        fp32_right: Which of them it gets right, shape (images,).
        reference_seconds: Batch size to the default int8 model's median latency, the lowest that
            was seen so far.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        batch_sizes: tuple[int, ...],
        rounds: dict[int, int],
        noise_images: int,
        seed: int,
        making: Making | None = None,
        with_latency: bool = True,
    ) -> None:
        self._with_latency = with_latency
        self._making = making or Making()
        self._subject = subject
        self._rounds = rounds
        self._seed = seed
        self._noise_batches = _batches(subject.images[:noise_images], subject.batch_size)
        self._timed = {size: subject.images[:size] for size in sorted(batch_sizes)}
        self._stack = ExitStack()
        self.baseline_accuracy: float | None = None
        self.fp32_right: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.reference_seconds: dict[int, float] = {}

    def __enter__(self) -> Bench:
        with self._stack as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            self._temp_files = stack.enter_context(ReclaimedTempFiles())
            self.quantizer = self._subject.quantizer(Path(folder), self._making)
            calibration = CalibratedOnce(
                self.quantizer.framework, CalibrationUsage(), mode=self._making.calibration
            )
            stack.enter_context(calibration)
            self._measure_fp32()
            model = self.quantizer.quantize(self.quantizer.space.default)
            self._reference = self._open(model, stack)
            for size, batch in self._timed.items():
                samples = time_side_by_side(
                    {"reference": self._reference}, batch, rounds=self._rounds[size]
                )
                self.reference_seconds[size] = statistics.median(samples["reference"])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self, origin: str, labels: Labels) -> LandscapeRow:
        """Accuracy, output noise and latencies; a configuration that fails becomes such a row."""
        begun = time.monotonic()
        try:
            return self._measured(origin, labels, begun)
        except Exception as error:  # whatever Neural Compressor or the framework raises
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            return LandscapeRow(origin, labels, seconds=_since(begun), failure=reason.rstrip(": "))
        finally:
            self._temp_files.reclaim()

    def profile(self, origin: str, labels: Labels) -> list[RecordedProfile]:
        """One profile for each batch size; none where it fails or the framework does not tell."""
        try:
            return self._profiled(origin, labels)
        except Exception as error:  # whatever Neural Compressor or the framework raises
            logger.warning("There is no profile of %s: %s", origin, named(error))
            return []
        finally:
            self._temp_files.reclaim()

    def answers(self, labels: Labels) -> tuple[float, npt.NDArray[np.bool_]]:
        """Output noise, and which evaluation images a configuration gets right, shape (images,).

        Raises:
            TrialError: It cannot be quantized or run; or whatever the framework raises.
        """
        try:
            with ExitStack() as stack:
                session = self._open(self._model(labels), stack)
                noise = output_noise(self._outputs(session), self._fp32_outputs)
                return float(noise or 0.0), self._right(session)
        finally:
            self._temp_files.reclaim()

    def _model(self, labels: Labels) -> Any:
        names = [parameter.name for parameter in self.quantizer.space.parameters]
        return self.quantizer.quantize(dict(zip(names, labels, strict=True)))

    def _measured(self, origin: str, labels: Labels, begun: float) -> LandscapeRow:
        with ExitStack() as stack:
            session = self._open(self._model(labels), stack)
            # Timed before anything else, on the smallest batch first; see ``timed_batches``.
            sizes = self._timed if self._with_latency else ()
            latency = {size: self._latency(session, size) for size in sizes}
            noise = output_noise(self._outputs(session), self._fp32_outputs)
            accuracy = self._accuracy(session)
        return LandscapeRow(origin, labels, accuracy, noise, latency, _since(begun))

    def _profiled(self, origin: str, labels: Labels) -> list[RecordedProfile]:
        parameters, backend = self.quantizer.space.parameters, self.quantizer.backend
        ops = [name for parameter in parameters for name, _ in parameter.ops]
        model, found = self._model(labels), []
        try:
            for size, batch in self._timed.items():
                times = backend.op_times(model, batch, ops)
                if times is not None:
                    took = tuple(times.of([name for name, _ in p.ops]) for p in parameters)
                    found.append(RecordedProfile(origin, labels, size, took, times.total))
        finally:
            backend.release(model)
        return found

    def _latency(self, session: ModelSession, size: int) -> RecordedLatency:
        """The least disturbed of up to ``_ATTEMPTS`` measurements.

        Pairing cancels a machine that is slower for all. It does not where other processes take
        cores: large models lose more by that than small ones.
        """
        found: list[RecordedLatency] = []
        while len(found) < _ATTEMPTS:
            found.append(self._paired(session, size))
            usual = self.reference_seconds[size]
            if found[-1].reference_seconds <= _DISTURBED * usual:
                break
        best = min(found, key=lambda latency: latency.reference_seconds)
        self.reference_seconds[size] = min(self.reference_seconds[size], best.reference_seconds)
        return best

    def _paired(self, session: ModelSession, size: int) -> RecordedLatency:
        samples = time_side_by_side(
            {"model": session, "reference": self._reference},
            self._timed[size],
            rounds=self._rounds[size],
            warmup=_WARMUP,
            seed=self._seed,
        )
        estimate = paired_ratio(samples["model"], samples["reference"])
        return RecordedLatency(
            estimate.ratio, estimate.stderr, statistics.median(samples["reference"])
        )

    def _measure_fp32(self) -> None:
        with ExitStack() as stack:
            session = self._open(self.quantizer.fp32_model, stack)
            self._fp32_outputs = self._outputs(session)
            if self._subject.evaluation is not None:
                self.fp32_right = self._right(session)
                self.baseline_accuracy = float(self.fp32_right.mean())

    def _open(self, model: Any, stack: ExitStack) -> ModelSession:
        session = self.quantizer.backend.open(model)
        stack.callback(session.close)
        # Neural Compressor's own session would keep the model in memory twice.
        self.quantizer.backend.release(model)
        return session

    def _outputs(self, session: ModelSession) -> list[Array]:
        return [output for batch in self._noise_batches for output in session.run(batch)]

    def _accuracy(self, session: ModelSession) -> float | None:
        """Share of the evaluation images whose highest output is their label."""
        if self._subject.evaluation is None:
            return None
        return float(self._right(session).mean())

    def _right(self, session: ModelSession) -> npt.NDArray[np.bool_]:
        data = self._subject.evaluation
        if data is None:
            raise DataError("The model's data has no labels.")
        scores = [session.run(b)[0] for b in _batches(data.images, self._subject.batch_size)]
        right: npt.NDArray[np.bool_] = np.concatenate(scores).argmax(axis=1) == data.labels
        return right


def _batches(images: Any, size: int) -> list[Any]:
    return [images[start : start + size] for start in range(0, len(images), size)]


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)
