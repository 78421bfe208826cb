"""What a recorded landscape and its surrogate are like, as a table and as plain data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nc_sigopt_benchmarks.research.landscapes.accuracy_fit import (
    ASSUMED_BASELINE,
    ASSUMED_BOUND_SHARE,
    ASSUMED_POWER,
)
from nc_sigopt_benchmarks.research.landscapes.held_out import HeldOutErrors, held_out_errors
from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    RecordedFile,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.profile_check import ProfileCheck, check_profiles
from nc_sigopt_benchmarks.research.landscapes.recorded import landscape_of
from nc_sigopt_benchmarks.research.landscapes.surrogate import Readings, fit_surrogate


def print_report(path: Path, batch_size: int | None, console: Console) -> None:
    """Print held-out errors and the optimum at one batch size, or at all of the file.

    Raises:
        DataError: There is no such file, it is not a landscape, or the batch size was not
            recorded.
    """
    recorded = read_landscape_file(path)
    sizes = recorded.header["batch_sizes"] if batch_size is None else [batch_size]
    table = Table("", *(f"batch {size}" for size in sizes))
    columns = [_column(recorded, int(size)) for size in sizes]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    console.print(_summary(recorded), highlight=False)
    console.print(table)
    if recorded.header["baseline_accuracy"] is None:
        console.print(
            f"Accuracy is assumed: {ASSUMED_BASELINE} in FP32, falling with the power "
            f"{ASSUMED_POWER} of output noise, on the bound at {ASSUMED_BOUND_SHARE} of the "
            "default int8 model's noise."
        )


def _summary(recorded: RecordedFile) -> str:
    header = recorded.header
    failed = sum(row.failure is not None for row in recorded.rows)
    return (
        f"{header['model']} ({header['weights']} weights), {header['framework']}: "
        f"{len(recorded.rows)} rows, {failed} of them failed; {header['cpu']['name']}, "
        f"{header['cpu']['cores']} cores"
    )


def _column(recorded: RecordedFile, batch_size: int) -> dict[str, str]:
    readings = Readings.of(recorded, batch_size)
    surrogate = fit_surrogate(recorded, readings)
    landscape = landscape_of(recorded, readings, surrogate, batch_size)
    predicted = predicted_figures(landscape, landscape.optimum)
    return {
        **_errors(held_out_errors(recorded, batch_size)),
        "images behind an accuracy": str(landscape.images),
        "bound on the accuracy": f"{landscape.bound:.4f}",
        "noise at the bound": f"{surrogate.accuracy.noise_at(landscape.bound):.3g}",
        **_profiles(check_profiles(landscape, surrogate.latency)),
        "optimum: latency ratio": f"{predicted['ratio']:.3f}",
        "optimum: output noise": f"{predicted['output_noise']:.3g}",
        "optimum: ops by type": predicted["types"],
    }


def predicted_figures(landscape: Landscape, choice: Choices) -> dict[str, Any]:
    """What a landscape says of one configuration, of shape (parameters,)."""
    row = choice[None]
    types = Counter(landscape.assignments(choice).values())
    return {
        "ratio": float(landscape.latency(row)[0]),
        "output_noise": float(landscape.output_noise(row)[0]),
        "accuracy": float(landscape.accuracy(row)[0]),
        "types": ", ".join(f"{count} {label}" for label, count in types.most_common()),
    }


def _profiles(check: ProfileCheck | None) -> dict[str, str]:
    shown = "–"
    if check is not None:
        shown = f"{check.correlation:.2f}, {check.in_errors:.1f} ({check.ops} differences)"
    return {"profiles: correlation with the fit, median in stated errors": shown}


def _errors(errors: HeldOutErrors) -> dict[str, str]:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    accuracy = "–" if errors.accuracy_rmse is None else f"{errors.accuracy_rmse:.4f}"
    return {
        "rows held out in turn": str(errors.rows),
        "latency, relative RMSE": share(errors.latency_rmse),
        "latency, 90 % within": share(errors.latency_p90),
        "latency, measurement's own error": share(errors.latency_stderr),
        "output noise, error as a factor": f"{np.exp(errors.noise_log_rmse):.2f}",
        "output noise, RMSE of its log": f"{errors.noise_log_rmse:.3f}",
        "accuracy, RMSE": accuracy,
        "same verdict as measured": share(errors.verdict_agreement),
    }
