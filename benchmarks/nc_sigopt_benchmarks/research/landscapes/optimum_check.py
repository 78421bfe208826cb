"""Measure what a surrogate claims to be the optimum, on the real model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.landscapes.landscape_file import (
    LandscapeRow,
    LandscapeWriter,
    read_landscape_file,
)
from nc_sigopt_benchmarks.research.landscapes.landscape_report import predicted_figures
from nc_sigopt_benchmarks.research.landscapes.record import (
    RecordOptions,
    make_header,
    making_of,
    prepare_bench,
)
from nc_sigopt_benchmarks.research.landscapes.recorded import recorded_landscape
from nc_sigopt_strategy.errors import DataError

# Not .jsonl: those are landscapes.
CHECKS_SUFFIX = ".checks.ndjson"


@dataclass(frozen=True)
class OptimumCheck:
    """One claimed optimum, predicted and measured.

    Attributes:
        landscape: Its name.
        batch_size: Of the latency.
        bound: Least accuracy that is accepted.
        predicted: Latency ratio, output noise, accuracy.
        row: What was measured.
    """

    landscape: str
    batch_size: int
    bound: float
    predicted: dict[str, Any]
    row: LandscapeRow

    def sentences(self) -> list[str]:
        """What people want to know of it."""
        row, predicted = self.row, self.predicted
        if row.failure is not None:
            return [f"{self.landscape}: the claimed optimum cannot be built: {row.failure}"]
        latency = row.latency[self.batch_size]
        accuracy = "–" if row.accuracy is None else f"{row.accuracy:.4f}"
        noise = "–" if row.output_noise is None else f"{row.output_noise:.3g}"
        return [
            f"{self.landscape}: claimed optimum of {predicted['types']}",
            f"latency ratio: predicted {predicted['ratio']:.3f}, measured {latency.ratio:.3f} "
            f"± {latency.stderr:.3f}",
            f"output noise: predicted {predicted['output_noise']:.3g}, measured {noise}",
            f"accuracy: predicted {predicted['accuracy']:.4f}, measured {accuracy}; at least "
            f"{self.bound:.4f} is wanted",
        ]


def check_optimum(
    config: RunConfig,
    path: Path,
    options: RecordOptions,
    batch_size: int,
    tell: Callable[[str], None],
) -> OptimumCheck:
    """Quantize and measure a landscape's optimum, and append the result to ``*.checks.ndjson``.

    Args:
        config: The run configuration of the recording.
        path: The landscape file.
        options: Those of the recording; ``rounds`` may be more, and it is always timed.
        batch_size: Of the landscape.
        tell: Gets lines of text.

    Raises:
        SigOptStrategyError: The file, the model or the data cannot be used, or the file is of
            another model or machine.
    """
    if not path.is_file():
        raise DataError(f"There is no landscape file {path}.", "Record it without this option.")
    landscape = recorded_landscape(path, batch_size)
    choice = landscape.optimum
    options = dataclasses.replace(options, making=making_of(path), with_latency=True)
    subject, bench = prepare_bench(config, options, tell)
    with bench:
        # Opened only for its check: what is not the model of the file has another header.
        with LandscapeWriter(path, make_header(config, options, subject, bench)):
            pass
        labels = tuple(landscape.assignments(choice).values())
        row = bench.measure(f"optimum at batch {batch_size}", labels)
    check = OptimumCheck(
        landscape.name,
        batch_size,
        landscape.bound,
        predicted_figures(landscape, choice),
        row,
    )
    _append(path, check)
    return check


def _append(path: Path, check: OptimumCheck) -> None:
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "landscape": check.landscape,
        "rows": len(read_landscape_file(path).rows),
        "batch_size": check.batch_size,
        "bound": check.bound,
        "predicted": check.predicted,
        "measured": check.row.to_json(),
        "host": host_facts(),
    }
    with path.with_suffix(CHECKS_SUFFIX).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
