"""How well a surrogate predicts rows that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Values
from nc_sigopt_benchmarks.research.landscapes.landscape_file import RecordedFile
from nc_sigopt_benchmarks.research.landscapes.noise_fit import LEAST_NOISE
from nc_sigopt_benchmarks.research.landscapes.surrogate import Readings, Surrogate, fit_surrogate

FOLDS = 10


@dataclass(frozen=True)
class HeldOutErrors:
    """Errors of predictions by surrogates that did not see the row.

    Attributes:
        rows: How many.
        latency_rmse: Root mean square of the relative errors of the latency ratio, of timed rows.
        latency_p90: 90 % of the relative errors are at most this.
        latency_stderr: Median relative standard error of the measurements themselves.
        noise_log_rmse: Root mean square error of the natural logarithm of the output noise.
        accuracy_rmse: Of the accuracy; ``None`` without one.
        verdict_agreement: Share of rows on whose side of the bound the surrogate agrees; ``None``
            without an accuracy.
    """

    rows: int
    latency_rmse: float
    latency_p90: float
    latency_stderr: float
    noise_log_rmse: float
    accuracy_rmse: float | None = None
    verdict_agreement: float | None = None


def held_out_errors(recorded: RecordedFile, batch_size: int, folds: int = FOLDS) -> HeldOutErrors:
    """Fit to all folds but one, predict that one, for each in turn.

    Args:
        recorded: The landscape file.
        batch_size: Which latencies.
        folds: Number of parts.
    """
    readings = Readings.of(recorded, batch_size)
    count = len(readings.ratios)
    ratios, noises, accuracies = np.empty(count), np.empty(count), np.empty(count)
    parts = KFold(min(folds, count), shuffle=True, random_state=0)
    for train, test in parts.split(readings.choices):
        surrogate = fit_surrogate(recorded, readings.take(train))
        choices = readings.choices[test]
        ratios[test], noises[test], accuracies[test] = predict(surrogate, choices)
    relative = np.abs(ratios / readings.ratios - 1)[readings.timed]
    noisy = readings.noises > LEAST_NOISE
    log_errors = np.log(noises[noisy] / readings.noises[noisy])
    accuracy_rmse = agreement = None
    if readings.accuracies is not None:
        header = recorded.header
        bound = float(header["baseline_accuracy"]) * (1 - float(header["relative_bound"]))
        accuracy_rmse = _rms(accuracies - readings.accuracies)
        agreement = float(((accuracies >= bound) == (readings.accuracies >= bound)).mean())
    return HeldOutErrors(
        rows=count,
        latency_rmse=_rms(relative),
        latency_p90=float(np.quantile(relative, 0.9)),
        latency_stderr=readings.latency_error,
        noise_log_rmse=_rms(log_errors),
        accuracy_rmse=accuracy_rmse,
        verdict_agreement=agreement,
    )


def predict(surrogate: Surrogate, choices: Choices) -> tuple[Values, Values, Values]:
    """Latency ratios, output noises and accuracies of configurations."""
    noise = surrogate.noise(choices)
    return surrogate.latency(choices), noise, surrogate.accuracy(noise)


def _rms(values: Values) -> float:
    return float(np.sqrt(np.mean(values**2)))
