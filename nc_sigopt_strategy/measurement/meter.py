"""Latency and output noise of one model after another, against fixed references."""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.backends.backend import Array, Backend, ModelSession
from nc_sigopt_strategy.backends.op_times import OpTimes
from nc_sigopt_strategy.errors import DataError, TrialError, in_one_line, shown
from nc_sigopt_strategy.measurement.batches import batch_length
from nc_sigopt_strategy.measurement.comparison import (
    FP32,
    MOST_SECONDS,
    Comparison,
    compare_until,
)
from nc_sigopt_strategy.measurement.copies import copies_end
from nc_sigopt_strategy.measurement.finite import as_finite
from nc_sigopt_strategy.measurement.latency import (
    MINIMUM_ROUNDS,
    WARMUP,
    RatioEstimate,
    paired_ratio,
    time_calls,
    time_side_by_side,
)
from nc_sigopt_strategy.measurement.output_noise import output_noise
from nc_sigopt_strategy.measurement.timed_batches import BatchSizes, TimedBatches
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import BatchLatency

FINALIST_ROUNDS = 40
# Inputs that tell the noise of a probe well enough: the ops' own differ by decades.
PROBE_INPUTS = 20


@dataclass(frozen=True)
class Measurement:
    """What the meter found for one model.

    Attributes:
        latency_seconds: Seconds for one inference on one batch.
        latency_stddev: Its standard error; ``None`` for a user's ``latency_func``.
        latency_ratio: Paired ratio to the reference model; ``None`` for a ``latency_func``.
        output_noise: See ``measurement.output_noise``; ``None`` without batches.
    """

    latency_seconds: float
    latency_stddev: float | None = None
    latency_ratio: float | None = None
    output_noise: float | None = None


class Meter:
    """Measures models of one run.

    Latency is the paired ratio to a reference model times the reference's own latency, which is
    measured once, first. The reference is the default int8 model, or FP32 where that one failed.

    Args:
        backend: The framework.
        batches: Inputs; the first one is timed, all serve for output noise. Empty only together
            with a ``latency_func``.
        fp32_model: INC's FP32 model.
        repeats: Pairs of timed runs per model.
        seed: Seed of the timing order.
        latency_func: The user's own timing of a model, in seconds.
        latency_batch_size: Inputs of the timed batch, or sizes to their weights; ``None``: the
            whole first batch. See ``TimedBatches``.
        clock: Monotonic seconds; deadlines are readings of it.

    Attributes:
        clock: As given.
        reference_seconds: The reference's latency; ``None`` before it is fixed.
        fp32_seconds: FP32's latency; ``None`` before the reference is fixed.
        fp32_stderr: Its standard error; 0 where a ``latency_func`` says it.
        measures_noise: Whether output noise can be measured: there are batches to run, and FP32's
            outputs on them are floating-point numbers that vary.
    """

    def __init__(
        self,
        backend: Backend,
        batches: list[Any],
        fp32_model: Any,
        *,
        repeats: int,
        seed: int,
        latency_func: Callable[[Any], float] | None = None,
        latency_batch_size: BatchSizes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._batches = batches
        self._repeats = repeats
        self._seed = seed
        self._latency_func = latency_func
        self.clock = clock
        self._timed = TimedBatches(batches, latency_batch_size) if batches else None
        self._fp32_model = fp32_model
        self._reference: ModelSession | None = None
        self._fp32_outputs = self._outputs_of_fp32()
        flat = [array for batch in self._fp32_outputs for array in batch]
        self.measures_noise = output_noise(flat, flat) is not None
        self.reference_seconds: float | None = None
        self.fp32_seconds: float | None = None
        self.fp32_stderr = 0.0

    @property
    def batch_size(self) -> int | None:
        """Inputs in the timed batch; ``None`` where several sizes are timed, or none is."""
        return None if self._timed is None else self._timed.size

    @property
    def has_reference(self) -> bool:
        """Whether ``measure`` can be called."""
        return self._latency_func is not None or self._reference is not None

    @property
    def uses_latency_func(self) -> bool:
        """Whether the user's function stands in for our timing."""
        return self._latency_func is not None

    @property
    def fp32_outputs(self) -> Sequence[Sequence[Array]]:
        """What FP32 gives for each batch."""
        return self._fp32_outputs

    def set_reference(self, model: Any | None, reference_seconds: float | None = None) -> None:
        """Fix the reference model (``None``: FP32) and measure its latency and FP32's.

        Args:
            model: INC model of the default int8 configuration.
            reference_seconds: The reference's latency where an earlier process measured it.
        """
        if self._latency_func is not None:
            self.fp32_seconds = self._call_latency_func(self._fp32_model)
            return
        self._reference = self._backend.open(self._fp32_model if model is None else model)
        fp32 = self._backend.open(self._fp32_model)
        try:
            samples = self._time({"reference": self._reference, "fp32": fp32}, self._repeats)
        finally:
            fp32.close()
        self.reference_seconds = reference_seconds or statistics.median(samples["reference"])
        estimate = paired_ratio(samples["fp32"], samples["reference"])
        self.fp32_seconds = estimate.ratio * self.reference_seconds
        self.fp32_stderr = estimate.stderr * self.reference_seconds

    def measure(self, model: Any) -> Measurement:
        """Latency and output noise of an INC model.

        Raises:
            TrialError: A ``latency_func`` returned nonsense, or the outputs are not finite.
        """
        session = self._backend.open(model) if self._batches else None
        try:
            # Timed first, as the reference is: a session may run fast only on batches of the size
            # that it met first (``timed_batches``), and noise is measured on whole ones.
            estimate = None if self.uses_latency_func else self._ratio(session, self._repeats)
            noise = None if session is None else self._noise(session)
        finally:
            if session is not None:
                session.close()
        if estimate is None:
            return Measurement(self._call_latency_func(model), output_noise=noise)
        return self._as_measurement(estimate, noise)

    def noise_on_few(self, model: Any) -> float | None:
        """Output noise by the first batches, as many as have ``PROBE_INPUTS`` inputs.

        Raises:
            TrialError: The outputs are not finite.
        """
        count, inputs = 0, 0
        while count < len(self._batches) and inputs < PROBE_INPUTS:
            inputs += batch_length(self._batches[count])
            count += 1
        session = self._backend.open(model)
        try:
            return self._noise(session, count)
        finally:
            session.close()

    def op_times(self, model: Any, ops: Sequence[str]) -> OpTimes | None:
        """What ops take on the timed batch; ``None`` where nobody tells.

        Nobody does where the user's function says what latency is, or where several batch sizes
        are timed: a profile is of one.
        """
        if self._latency_func is not None or self._timed is None or self._timed.batch is None:
            return None
        return self._backend.op_times(model, self._timed.batch, ops)

    def compare(
        self,
        models: Mapping[int, Any],
        *,
        decided: Callable[[Comparison], bool],
        deadline: float | None = None,
    ) -> Comparison:
        """Time models and FP32 side by side until they can be told apart.

        Args:
            models: By trial number.
            decided: Whether a comparison says enough; if not, more rounds are timed.
            deadline: The clock's reading when no more are.
        """
        until = self.clock() + MOST_SECONDS
        until = until if deadline is None else min(until, deadline)
        named = {
            **{str(number): model for number, model in models.items()},
            FP32: self._fp32_model,
        }
        with self._opened(named) as time_rounds:
            return compare_until(
                decided,
                lambda rounds, minimum: time_rounds(
                    rounds, minimum, deadline if minimum else until
                ),
                rounds=MINIMUM_ROUNDS if self.uses_latency_func else FINALIST_ROUNDS,
                minimum=MINIMUM_ROUNDS,
                is_time=lambda: self.clock() < until,
            )

    def by_batch(self, model: Any, *, deadline: float | None = None) -> list[BatchLatency]:
        """FP32 and a model side by side on each of several batch sizes; empty if there is one.

        Args:
            model: As the backend takes models.
            deadline: The clock's reading when no more rounds start, once there are enough.
        """
        if self._timed is None or self._timed.size is not None or self.uses_latency_func:
            return []
        sessions = {"model": self._backend.open(model), FP32: self._backend.open(self._fp32_model)}
        found = []
        try:
            for size, batches in self._timed.each().items():
                samples = time_side_by_side(
                    sessions,
                    batches,
                    rounds=FINALIST_ROUNDS,
                    seed=self._seed,
                    deadline=deadline,
                    clock=self.clock,
                )
                speedup = paired_ratio(samples[FP32], samples["model"])
                seconds = statistics.median(samples["model"])
                found.append(
                    BatchLatency(
                        size,
                        self._timed.weights[size],
                        seconds,
                        seconds * speedup.ratio,
                        Interval(speedup.ratio, speedup.low, speedup.high),
                    )
                )
        finally:
            for session in sessions.values():
                session.close()
        return found

    def close(self) -> None:
        """Give back the reference's memory."""
        if self._reference is not None:
            self._reference.close()
            self._reference = None

    @contextlib.contextmanager
    def _opened(
        self, models: Mapping[str, Any]
    ) -> Iterator[Callable[[int, int, float | None], dict[str, list[float]]]]:
        """Inside, models are open and warm: time some rounds, so many at least, until then."""
        if self._latency_func is not None:
            calls = {
                name: functools.partial(self._call_latency_func, model)
                for name, model in models.items()
            }
            yield lambda rounds, minimum, until: time_calls(
                calls,
                rounds=rounds,
                seed=self._seed,
                deadline=until,
                minimum=minimum,
                clock=self.clock,
            )
            return
        with contextlib.ExitStack() as stack:
            sessions = {}
            for name, model in models.items():
                sessions[name] = self._backend.open(model)
                stack.callback(sessions[name].close)
            yield lambda rounds, minimum, until: time_side_by_side(
                sessions,
                self._batches_to_time,
                rounds=rounds,
                warmup=WARMUP if minimum else 0,
                seed=self._seed,
                deadline=until,
                minimum=minimum,
                clock=self.clock,
            )

    def _outputs_of_fp32(self) -> list[list[Array]]:
        if not self._batches:
            return []
        session = self._backend.open(self._fp32_model)
        try:
            outputs = [session.run(batch) for batch in self._batches]
            self._check_sizes(session)
            return outputs
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"The calibration data does not fit the model: {in_one_line(error)}",
                "The dataloader must yield (inputs, label) with inputs of the model's own shape.",
            ) from error
        finally:
            session.close()

    def _check_sizes(self, session: ModelSession) -> None:
        """See whether the model takes batches of the sizes that are to be timed."""
        for size, batches in () if self._timed is None else self._timed.each().items():
            try:
                batches.timed(session)()
            except Exception as error:  # each runtime has its own way to fail
                raise DataError(
                    f"The model does not take a batch of {size}, on which latency is to be timed: "
                    f"{in_one_line(error)}",
                    "Correct latency_batch_size, or export the model with a free first axis.",
                ) from error

    @property
    def _batches_to_time(self) -> TimedBatches:
        if self._timed is None:
            raise TrialError("There is no batch to time a model on.")
        return self._timed

    def _noise(self, session: ModelSession, batches: int | None = None) -> float | None:
        outputs = [session.run(batch) for batch in self._batches[:batches]]
        flat = [array for batch in outputs for array in batch]
        expected = [array for batch in self._fp32_outputs[:batches] for array in batch]
        noise = output_noise(flat, expected)
        if noise is not None and not math.isfinite(noise):
            raise TrialError("The quantized model's outputs hold NaN or infinite values.")
        return noise

    def _ratio(self, session: ModelSession | None, rounds: int) -> RatioEstimate:
        if session is None or self._reference is None:
            raise TrialError("There is no reference model to time against.")
        samples = self._time({"model": session, "reference": self._reference}, rounds)
        return paired_ratio(samples["model"], samples["reference"])

    def _time(self, sessions: Mapping[str, ModelSession], rounds: int) -> dict[str, list[float]]:
        return time_side_by_side(
            sessions,
            self._batches_to_time,
            rounds=rounds,
            warmup=WARMUP,
            seed=self._seed,
            clock=self.clock,
        )

    def _as_measurement(self, estimate: RatioEstimate, noise: float | None) -> Measurement:
        seconds = self.reference_seconds or 0.0
        return Measurement(
            latency_seconds=estimate.ratio * seconds,
            latency_stddev=estimate.stderr * seconds,
            latency_ratio=estimate.ratio,
            output_noise=noise,
        )

    def _call_latency_func(self, model: Any) -> float:
        if self._latency_func is None:
            raise TrialError("There is no latency_func.")
        with copies_end("latency_func"):
            seconds = self._latency_func(model)
        return self._checked_seconds(seconds)

    @staticmethod
    def _checked_seconds(seconds: Any) -> float:
        found = None if isinstance(seconds, bool) else as_finite(seconds)
        if found is None:
            raise TrialError(
                f"latency_func returned {shown(seconds)}, which is not a finite number of seconds."
            )
        if found <= 0:
            raise TrialError(
                f"latency_func returned {shown(seconds)}, which is not a positive number."
            )
        return found
