"""A landscape's surrogate: latency, output noise and accuracy fitted to recorded rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.research.landscapes.accuracy_fit import (
    AccuracyCurve,
    assumed_accuracy,
    fit_accuracy,
)
from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    LandscapeRow,
    RecordedFile,
    RecordedLatency,
)
from nc_sigopt_benchmarks.research.landscapes.latency_fit import (
    AdditiveLatency,
    LatencyFeatures,
    fit_latency,
)
from nc_sigopt_benchmarks.research.landscapes.noise_fit import AdditiveNoise, fit_noise
from nc_sigopt_strategy.errors import DataError

MINIMUM_ROWS = 10
_NOT_TIMED = RecordedLatency(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Readings:
    """Rows of a landscape file as arrays, failed ones left out.

    Attributes:
        choices: Value positions, shape (rows, parameters).
        ratios: Latency over the default int8 model's, shape (rows,); NaN where it was not timed.
        stderrs: Of the ratios.
        noises: Output noises.
        accuracies: ``None`` where the recording has none.
    """

    choices: Choices
    ratios: Values
    stderrs: Values
    noises: Values
    accuracies: Values | None

    @classmethod
    def of(cls, recorded: RecordedFile, batch_size: int) -> Readings:
        """The rows' readings at one batch size.

        Raises:
            DataError: That batch size was not recorded, or too few rows were timed.
        """
        sizes = [int(size) for size in recorded.header["batch_sizes"]]
        if batch_size not in sizes:
            raise DataError(
                f"The landscape was not recorded at batch size {batch_size}.",
                f"It was at {', '.join(map(str, sizes))}.",
            )
        rows = [row for row in recorded.rows if row.failure is None]
        timed = sum(batch_size in row.latency for row in rows)
        if timed < MINIMUM_ROWS:
            raise DataError(
                f"The landscape has {timed} rows with a latency; a surrogate needs at least "
                f"{MINIMUM_ROWS}.",
                "Call nc-sigopt record again with the same file to go on with it.",
            )
        latencies = [row.latency.get(batch_size, _NOT_TIMED) for row in rows]
        has_accuracy = recorded.header["baseline_accuracy"] is not None
        return cls(
            np.array([_positions(recorded, row) for row in rows]),
            np.array([latency.ratio for latency in latencies]),
            np.array([latency.stderr for latency in latencies]),
            np.array([row.output_noise or 0.0 for row in rows]),
            np.array([row.accuracy for row in rows], float) if has_accuracy else None,
        )

    @property
    def timed(self) -> npt.NDArray[np.bool_]:
        """Which rows have a latency, shape (rows,)."""
        return np.isfinite(self.ratios)

    @property
    def latency_error(self) -> float:
        """The measurements' own error: the median of the ratios' relative standard errors."""
        return float(np.nanmedian(self.stderrs / self.ratios))

    def take(self, rows: npt.NDArray[np.intp]) -> Readings:
        """Some of the rows."""
        return Readings(
            self.choices[rows],
            self.ratios[rows],
            self.stderrs[rows],
            self.noises[rows],
            None if self.accuracies is None else self.accuracies[rows],
        )


@dataclass(frozen=True)
class Surrogate:
    """What was fitted; the sums are exact, so an optimum can be proven."""

    latency: AdditiveLatency
    noise: AdditiveNoise
    accuracy: AccuracyCurve


def fit_surrogate(recorded: RecordedFile, readings: Readings) -> Surrogate:
    """Fit all three to readings of a recorded file."""
    parameters, graph = recorded.parameters, recorded.header["op_graph"]
    timed = readings.take(np.flatnonzero(readings.timed))
    latency = fit_latency(
        LatencyFeatures(parameters, graph), timed.choices, timed.ratios, timed.stderrs
    )
    noise = fit_noise(parameters, graph, readings.choices, readings.noises)
    if readings.accuracies is None:
        default = _positions_of(recorded, recorded.header["default"])
        default_noise = float(noise(np.array([default]))[0])
        curve = assumed_accuracy(default_noise, float(recorded.header["relative_bound"]))
    else:
        baseline = float(recorded.header["baseline_accuracy"])
        curve = fit_accuracy(readings.noises, readings.accuracies, baseline)
    return Surrogate(latency, noise, curve)


def _positions(recorded: RecordedFile, row: LandscapeRow) -> list[int]:
    return _positions_of(recorded, row.labels)


def _positions_of(recorded: RecordedFile, labels: Sequence[str]) -> list[int]:
    values = recorded.parameters.values()
    return [row.index(label) for row, label in zip(values, labels, strict=True)]
