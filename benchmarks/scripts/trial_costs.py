"""What quantizing costs, stock Neural Compressor against calibrating once.

    python benchmarks/scripts/trial_costs.py [FILE.json]

Stock and ours take turns in one process, on the same configurations; a figure is the paired ratio
of the two with its 95 % interval. Memory, open files and temporary files are of processes of their
own. With ImageNet weights and images where NC_SIGOPT_ASSETS is set. About 25 minutes, of which
stock's "kl" takes a third.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    FRAMEWORKS,
    MODELS,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.measurement.latency import paired_ratio, time_calls

IMAGES, BATCH_SIZE = 100, 20
MEMORY_IMAGES = {"mobilenet_v1": 100, "resnet50_v1": 300}
ROUNDS = 5
KL_ROUNDS = 2
FILE_TRIALS = {"stock": 10, "once": 100}
STOCK, ONCE = "stock", "once"


@dataclass(frozen=True)
class Figure:
    """One line of the result.

    Attributes:
        case: Model and framework.
        what: What was measured.
        ratio: Ours over stock's, or as ``what`` says; ``None`` where it is no ratio.
        low: Lower end of its 95 % interval.
        high: Upper end.
        samples: The numbers behind it, by name.
    """

    case: str
    what: str
    ratio: float | None
    low: float | None
    high: float | None
    samples: dict[str, list[float]]


class Turns:
    """Stock and ours on one model, one after the other."""

    def __init__(self, quantizer: Quantizer) -> None:
        self.usage = CalibrationUsage()
        self._quantizer = quantizer
        self._ours = CalibratedOnce(quantizer.framework, self.usage)

    def seconds(self, who: str, assignments: dict[str, str]) -> float:
        """Seconds that ``quantize`` takes."""
        with ExitStack() as stack:
            if who == ONCE:
                stack.enter_context(self._ours)
            stack.enter_context(ReclaimedTempFiles())
            begun = time.monotonic()
            self._quantizer.quantize(assignments)
            return time.monotonic() - begun


def main(path: Path) -> None:
    """Measure everything, print a table and write the samples."""
    logging.getLogger("neural_compressor").setLevel(logging.ERROR)
    figures: list[Figure] = []

    def add(new: list[Figure]) -> None:
        figures.extend(new)
        for figure in new:
            print(f"{figure.case}, {figure.what}: {_text(figure)}", flush=True)

    for model in MODELS:
        for framework in FRAMEWORKS:
            add(_times(model, framework))
            add(_memory(model, framework))
    add(_files())
    table = Table("model", "what", "measured", title="Ours over stock's; brackets: 95 %")
    for figure in figures:
        table.add_row(figure.case, figure.what, _text(figure))
    Console(width=120).print(table)
    record = {"host": host_facts(), "images": IMAGES, "figures": [asdict(f) for f in figures]}
    write_whole(path, json.dumps(record, indent=1) + "\n")
    print(f"Samples: {path}")


def _times(model: str, framework: str) -> list[Figure]:
    case, name = calibration_case(model, framework, cache_folder()), f"{model}, {framework}"
    with tempfile.TemporaryDirectory() as workspace:
        quantizer = case.quantizer(calibration_images(IMAGES), BATCH_SIZE, Path(workspace))
        turns = Turns(quantizer)
        min_max, kl = quantizer.uniform("int8"), quantizer.uniform("int8-kl", "int8")
        rng = np.random.default_rng(0)
        mixed = [quantizer.random(rng, labels=("int8", "bf16", "fp32")) for _ in range(ROUNDS)]
        # The first trial of each way pays for what later ones have: it is not among the samples.
        turns.seconds(STOCK, min_max)
        turns.seconds(ONCE, min_max)
        figures = [
            Figure(name, "one-off statistics (s)", None, None, None,
                   {"seconds": [turns.usage.seconds], "passes": [turns.usage.passes]}),
            _ratio(name, "quantize, min-max", turns, [min_max] * ROUNDS),
            _ratio(name, "quantize, mixed int8, bf16 and fp32", turns, mixed),
        ]  # fmt: skip
        if model == "mobilenet_v1":
            figures.append(_ratio(name, "quantize, kl on all ops", turns, [kl] * KL_ROUNDS))
        samples = time_calls(
            {
                "ours": partial(turns.seconds, ONCE, kl),
                "other": partial(turns.seconds, ONCE, min_max),
            },
            rounds=ROUNDS,
        )
        figures.append(_figure(name, "ours: kl over min-max", **samples))
    if turns.usage.stock:
        raise RuntimeError(f"The stock path served: {turns.usage.stock}")
    return figures


def _ratio(case: str, what: str, turns: Turns, configurations: list[dict[str, str]]) -> Figure:
    """Both ways take turns on each configuration, in an order that changes."""
    queues = {"ours": (ONCE, iter(configurations)), "other": (STOCK, iter(configurations))}
    samples = time_calls(
        {name: partial(_next, turns, *queue) for name, queue in queues.items()},
        rounds=len(configurations),
    )
    return _figure(case, what, **samples)


def _next(turns: Turns, who: str, configurations: Iterator[dict[str, str]]) -> float:
    return turns.seconds(who, next(configurations))


def _figure(case: str, what: str, ours: list[float], other: list[float]) -> Figure:
    estimate = paired_ratio(ours, other)
    samples = {"ours": ours, "other": other}
    return Figure(case, what, estimate.ratio, estimate.low, estimate.high, samples)


def _memory(model: str, framework: str) -> list[Figure]:
    peaks: dict[str, list[float]] = {STOCK: [], ONCE: []}
    for _ in range(2):
        for who, samples in peaks.items():
            samples.append(float(_child("memory", model, framework, who)["peak_mib"]))
    images = MEMORY_IMAGES[model]
    what = f"peak memory, {images} images (MiB)"
    return [_figure(f"{model}, {framework}", what, peaks[ONCE], peaks[STOCK])]


def _files() -> list[Figure]:
    figures = []
    for who, trials in FILE_TRIALS.items():
        found = _child("files", "mobilenet_v1", "tensorflow", who)
        samples = {name: [float(value) for value in values] for name, values in found.items()}
        what = f"{who}: open and temporary files, before and after {trials} trials"
        figures.append(Figure("mobilenet_v1, tensorflow", what, None, None, None, samples))
    return figures


def _child(*arguments: str) -> dict[str, Any]:
    """Run this file in a process of its own, and return the JSON on its last line."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, "--child", *arguments],
            env={**os.environ, "TMPDIR": folder, "TF_CPP_MIN_LOG_LEVEL": "2"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{arguments} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _child_main(what: str, model: str, framework: str, who: str) -> None:
    logging.getLogger("neural_compressor").setLevel(logging.ERROR)
    images = calibration_images(MEMORY_IMAGES[model] if what == "memory" else BATCH_SIZE)
    case = calibration_case(model, framework, cache_folder())
    with tempfile.TemporaryDirectory() as workspace, ExitStack() as stack:
        quantizer = case.quantizer(images, BATCH_SIZE, Path(workspace))
        if who == ONCE:
            stack.enter_context(CalibratedOnce(quantizer.framework, CalibrationUsage()))
        measure: Callable[[Quantizer, str], dict[str, Any]] = (
            _peak_of_trials if what == "memory" else _files_of_trials
        )
        print(json.dumps(measure(quantizer, who)))


def _peak_of_trials(quantizer: Quantizer, who: str) -> dict[str, Any]:
    """Peak resident memory over two trials, what was resident before them included."""
    Path("/proc/self/clear_refs").write_text("5")  # starts VmHWM anew
    for _ in range(2):
        quantizer.quantize(quantizer.space.default)
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM"))
    return {"peak_mib": int(peak.split()[1]) / 1024}


def _files_of_trials(quantizer: Quantizer, who: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)

    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(tempfile.gettempdir()))

    quantizer.quantize(quantizer.space.default)
    before = count()
    for _ in range(FILE_TRIALS[who]):
        quantizer.quantize(quantizer.random(rng, kl_ops=0))
    after = count()
    return {"open": [before[0], after[0]], "temporary": [before[1], after[1]]}


def _text(figure: Figure) -> str:
    if figure.ratio is None:
        return ", ".join(
            f"{name} {' to '.join(f'{value:.4g}' for value in values)}"
            for name, values in figure.samples.items()
        )
    ours, other = (float(np.median(figure.samples[name])) for name in ("ours", "other"))
    return (
        f"{figure.ratio:.3f} ({figure.low:.3f} to {figure.high:.3f}); medians "
        f"{ours:.4g} and {other:.4g}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child_main(*sys.argv[2:])
    else:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/trial_costs.json"))
