"""What every landscape offers: the truth about each configuration, and noisy looks at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.probes import Probe, Probing
from nc_sigopt_strategy.settings.choices import EVEN_ODDS

Choices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Truth = Callable[[Choices], Values]


@dataclass(frozen=True)
class Look:
    """One noisy measurement of one configuration, as a trial makes it.

    Attributes:
        latency: Any unit, above 0.
        latency_stderr: Its standard error as the measurement itself reports it, same unit.
        accuracy: 0 to 1; a share of the landscape's ``images``.
        output_noise: See ``nc_sigopt_strategy.measurement.output_noise``.
        accuracy_stderr: Of its difference from FP32's on the same images; ``None`` where the
            images are not known one by one.
    """

    latency: float
    latency_stderr: float
    accuracy: float
    output_noise: float
    accuracy_stderr: float | None = None


@dataclass(frozen=True)
class MeasurementError:
    """How far one measurement is from the truth.

    Attributes:
        latency: Relative standard deviation of a latency.
        outlier_share: Share of latencies that a disturbance makes longer.
        outlier_scale: Mean relative length of such a disturbance.
        output_noise: Relative standard deviation of the output noise.
        probe: Relative standard deviation of the noise that a probe of a single op finds.
        whole_probe: Of the noise that a probe of a whole model finds, on few inputs.
        profile: Relative standard deviation of an op's time in a profile.
        profiled_type: Of what all ops of a type are off by together there.
        noise_limit: Standard deviation of the logarithm of the noise limit that margins tell.
    """

    latency: float = 0.02
    outlier_share: float = 0.0
    outlier_scale: float = 0.0
    output_noise: float = 0.02
    probe: float = 0.2
    whole_probe: float = 0.1
    profile: float = 0.2
    profiled_type: float = 0.1
    noise_limit: float = 1.0


@dataclass(frozen=True)
class Landscape:
    """A search space and the truth about each of its configurations.

    Configurations are rows of value positions: an integer array of shape
    (configurations, parameters).

    Attributes:
        name: For tables.
        family: Landscapes of one family are reported together.
        assumptions_hold: Whether latency and noise are additive and accuracy falls with noise.
        parameters: Name to values, in graph order.
        op_graph: The experiment's record of ops and edges; see ``sampling.structure``.
        default: Value positions of the default int8 configuration, shape (parameters,).
        latency: True latencies, shape (configurations,).
        output_noise: True output noises, shape (configurations,).
        accuracy: True accuracies, 0 to 1, shape (configurations,).
        baseline_accuracy: Of the FP32 model.
        bound: Least accuracy that is accepted.
        images: How many images an accuracy is measured on.
        error: What a measurement adds to the truth.
        optimum: Value positions of the fastest configuration whose true accuracy meets the
            bound, shape (parameters,), found without any sampler.
        probed_noise: Noises that probes find, but for their drawn errors, shape
            (configurations,); ``None``: the true ones.
        op_latency: Per parameter what its op takes in each value, array of shape (values,), in the
            unit of latencies; what changes of type cost is not in it. Profiles are drawn around it
            where none were measured.
        profiles: Value positions of whole models to the share of their latency that each op was
            measured to take, shape (parameters,), NaN where nobody told; all models that are
            profiled, or none.
        noise_limit: The output noise at which accuracy meets the bound, where there is one.
        bound_confidence: How probable it has to be that the winner keeps the bound on other data.
    """

    name: str
    family: str
    assumptions_hold: bool
    parameters: Mapping[str, tuple[str, ...]]
    op_graph: Mapping[str, Any]
    default: Choices
    latency: Truth
    output_noise: Truth
    accuracy: Truth
    baseline_accuracy: float
    bound: float
    images: int
    error: MeasurementError
    optimum: Choices
    probed_noise: Truth | None = None
    op_latency: tuple[Values, ...] = ()
    profiles: Mapping[tuple[int, ...], Values] = field(default_factory=dict)
    noise_limit: float | None = None
    bound_confidence: float = EVEN_ODDS

    @property
    def optimal_latency(self) -> float:
        """The latency of ``optimum``."""
        return float(self.latency(self.optimum[None])[0])

    @property
    def sampling_error(self) -> float:
        """Standard deviation of an accuracy near the bound, measured on ``images`` images."""
        return float(np.sqrt(self.bound * (1 - self.bound) / self.images))

    def positions(self, assignments: Mapping[str, str]) -> Choices:
        """Assignments as value positions, shape (parameters,)."""
        return np.array(
            [values.index(assignments[name]) for name, values in self.parameters.items()]
        )

    def assignments(self, choice: Choices) -> dict[str, str]:
        """Value positions of shape (parameters,) as assignments."""
        return {
            name: values[position]
            for (name, values), position in zip(self.parameters.items(), choice, strict=True)
        }

    def look(self, choice: Choices, rng: np.random.Generator) -> Look:
        """Measure one configuration, of shape (parameters,)."""
        error, row = self.error, choice[None]
        latency = float(self.latency(row)[0]) * float(np.exp(rng.normal(0.0, error.latency)))
        if rng.random() < error.outlier_share:
            latency *= 1 + rng.exponential(error.outlier_scale)
        noise = float(self.output_noise(row)[0]) * float(np.exp(rng.normal(0, error.output_noise)))
        accuracy = float(np.clip(self.accuracy(row)[0], 0.0, 1.0))
        return Look(
            latency=latency,
            latency_stderr=latency * error.latency,
            accuracy=float(rng.binomial(self.images, accuracy)) / self.images,
            output_noise=noise,
        )

    def probing(self, rng: np.random.Generator) -> Probing:
        """What is measured before the first trial, without any accuracy.

        The noise of each op alone in its default int8; latency and noise with every op in its
        most precise type, with every op in bf16, and with every other op in its default; and
        profiles of the first two and of the default. And what the margins of FP32's outputs tell
        of the noise that the bound allows.
        """
        exact = np.array([len(values) - 1 for values in self.parameters.values()])
        in_bf16 = exact.copy()
        for p, values in enumerate(self.parameters.values()):
            if "bf16" in values:
                in_bf16[p] = values.index("bf16")
        mixed = np.where(np.arange(len(exact)) % 2 == 0, self.default, exact)
        found = [*self._single_noises(exact, rng)]
        whole = np.unique([exact, in_bf16], axis=0)
        found += [self._timed(choice, exact, rng) for choice in (*whole, mixed)]
        if self.profiles:
            found += [self._measured_profile(choice, exact, rng) for choice in self.profiles]
        elif self.op_latency:
            profiled = np.unique([exact, in_bf16, self.default], axis=0)
            found += [self._profiled(choice, exact, rng) for choice in profiled]
        limit = self.noise_limit
        if limit is not None:
            limit *= float(np.exp(rng.normal(0.0, self.error.noise_limit)))
        return Probing(tuple(found), done=True, noise_limit=limit)

    def _single_noises(self, exact: Choices, rng: np.random.Generator) -> list[Probe]:
        truth = self.probed_noise or self.output_noise
        alone = np.repeat(exact[None], len(exact), axis=0)
        np.fill_diagonal(alone, self.default)
        noises = truth(alone) * np.exp(rng.normal(0.0, self.error.probe, len(alone)))
        return [
            Probe(self._differing(alone[p], exact), noise=float(noises[p]))
            for p in np.flatnonzero(self.default != exact)
        ]

    def _timed(self, choice: Choices, exact: Choices, rng: np.random.Generator) -> Probe:
        look = self.look(choice, rng)
        differing = self._differing(choice, exact)
        noise = float(self.output_noise(choice[None])[0])
        noise *= float(np.exp(rng.normal(0.0, self.error.whole_probe)))
        return Probe(
            differing,
            noise=noise if differing else None,
            latency=look.latency,
            latency_stderr=look.latency_stderr,
        )

    def _measured_profile(
        self, choice: tuple[int, ...], exact: Choices, rng: np.random.Generator
    ) -> Probe:
        """Shares of a latency that was measured without the profiler, as a run takes them."""
        row = np.array(choice)
        times = self.profiles[choice] * self.look(row, rng).latency
        told = zip(self.parameters, times.tolist(), strict=True)
        return Probe(
            self._differing(row, exact),
            op_latency={name: time for name, time in told if not math.isnan(time)},
        )

    def _profiled(self, choice: Choices, exact: Choices, rng: np.random.Generator) -> Probe:
        error = self.error
        off = rng.normal(0.0, error.profile, len(choice)) + rng.normal(0.0, error.profiled_type)
        times = [row[v] for row, v in zip(self.op_latency, choice, strict=True)] * np.exp(off)
        return Probe(
            self._differing(choice, exact),
            op_latency=dict(zip(self.parameters, times.tolist(), strict=True)),
        )

    def _differing(self, choice: Choices, exact: Choices) -> dict[str, str]:
        """Where a configuration is not the most precise one."""
        chosen = zip(self.parameters.items(), choice, exact, strict=True)
        return {name: values[v] for (name, values), v, last in chosen if v != last}
