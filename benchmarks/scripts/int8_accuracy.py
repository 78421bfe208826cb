"""What all int8 loses on TensorFlow, and what each part of fitting it to the data brings back.

    python benchmarks/scripts/int8_accuracy.py configs/mobilenet_v1_tf.yaml --seeds 5 --ranges

Neural Compressor's default int8 model of a run configuration, judged on its evaluation images,
which nothing here is chosen by, so they are held out: as Neural Compressor makes it, without its
scale propagation, with biases corrected too, and with weights rounded in turn, which is
``calibration="fitted"``. Each seed draws other images to calibrate and to judge. With ``--ranges``
also with activation ranges other than min-max. The noise is ``measurement.output_noise`` on the
evaluation images.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import tensorflow as tf
from rich.table import Table

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.research.landscapes.subject import Subject, find_subject
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.console.outcome_table import table_console
from nc_sigopt_strategy.errors import DataError, SigOptStrategyError
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_fitting import QuantizedGraph
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_graphs import without_prints
from nc_sigopt_strategy.hosts.inc.calibration.tensorflow_statistics import (
    ModelStatistics,
    statistic,
)
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import (
    ENTROPY,
    MSE,
    PERCENTILE,
    TensorStatistics,
    range_of,
)
from nc_sigopt_strategy.hosts.onnxruntime.statistics import Seen
from nc_sigopt_strategy.hosts.rounding.in_turn import RoundingInTurn
from nc_sigopt_strategy.measurement.output_noise import output_noise
from nc_sigopt_strategy.settings.choices import EXACT, FITTED

Batches = Callable[[], Iterator[Any]]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1))
@click.option("--ranges", is_flag=True, help="Other activation ranges than min-max, too.")
def main(config: Path, seeds: int, ranges: bool) -> None:
    """Measure the int8 models of CONFIG's TensorFlow model and print one table."""
    rows: dict[str, list[tuple[float, float]]] = {}
    try:
        first = read_config(config)
        for seed in range(first.data.seed, first.data.seed + seeds):
            data = dataclasses.replace(first.data, seed=seed)
            subject = find_subject(
                dataclasses.replace(first, data=data),
                model=None, framework="tensorflow", with_accuracy=True, tell=click.echo,
            )  # fmt: skip
            for name, found in _measured(subject, ranges):
                rows.setdefault(name, []).append(found)
                click.echo(f"seed {seed}, {name}: top-1 {found[0]:.4f}, noise {found[1]:.5f}")
    except SigOptStrategyError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    _print(rows)


def _print(rows: Mapping[str, list[tuple[float, float]]]) -> None:
    table = Table(box=None)
    for heading in ("all int8", "top-1", "mean", "noise, mean", "lost to FP32, mean (worst)"):
        table.add_column(heading)
    exact = np.array([accuracy for accuracy, _ in rows["FP32"]])
    for name, found in rows.items():
        accuracies, noises = np.array(found).T
        lost = exact - accuracies
        table.add_row(
            name,
            ", ".join(f"{accuracy:.4f}" for accuracy in accuracies),
            f"{accuracies.mean():.4f}",
            f"{noises.mean():.5f}",
            f"{lost.mean():.4f} ({lost.max():.4f})",
        )
    table_console().print(table)


def _measured(subject: Subject, ranges: bool) -> Iterator[tuple[str, tuple[float, float]]]:
    """What a model is called, its accuracy and its noise."""
    with tempfile.TemporaryDirectory() as folder:
        quantizer = subject.quantizer(Path(folder))
        images, size = subject.images, subject.batch_size
        fp32 = _outputs(quantizer, quantizer.fp32_model, subject)
        yield "FP32", (_top_one(fp32, subject), 0.0)

        def judged(mode: str, *patches: Any) -> tuple[float, float]:
            with ExitStack() as stack:
                for patch in patches:
                    stack.enter_context(patch)
                stack.enter_context(
                    CalibratedOnce(quantizer.framework, CalibrationUsage(), mode=mode)
                )
                model = quantizer.quantize(quantizer.space.default)
            outputs = _outputs(quantizer, model, subject)
            noise = output_noise([outputs], [fp32])
            return _top_one(outputs, subject), float("nan") if noise is None else noise

        yield "Neural Compressor's", judged(EXACT)
        yield "no scale propagation", judged(FITTED, _nearest(), _biases_left_alone())
        yield "and biases corrected", judged(FITTED, _nearest())
        yield "and weights rounded in turn", judged(FITTED)
        if not ranges:
            return
        batches = lambda: (images[i : i + size] for i in range(0, len(images), size))  # noqa: E731
        for method in (PERCENTILE, MSE, ENTROPY):
            yield f"so, with {method} ranges", judged(FITTED, _ranges(method, batches))


def _outputs(quantizer: Quantizer, model: Any, subject: Subject) -> Any:
    evaluation = _evaluation(subject)
    session = quantizer.backend.open(model)
    starts = range(0, len(evaluation.images), subject.batch_size)
    found = [session.run(evaluation.images[i : i + subject.batch_size])[0] for i in starts]
    session.close()
    return np.concatenate(found)


def _evaluation(subject: Subject) -> ImageSet:
    if subject.evaluation is None:
        raise DataError("The configuration has no images to judge by.")
    return subject.evaluation


def _top_one(outputs: Any, subject: Subject) -> float:
    evaluation = _evaluation(subject)
    return float((outputs.argmax(axis=1) == evaluation.labels).mean())


def _nearest() -> Any:
    """Leaves weights at their nearest steps."""
    return mock.patch.object(
        RoundingInTurn, "fitted", lambda self, rows, steps: np.zeros(rows.shape, np.int8)
    )


def _biases_left_alone() -> Any:
    return mock.patch.object(QuantizedGraph, "_correct_bias", return_value=None)


@contextmanager
def _ranges(method: str, batches: Batches) -> Iterator[None]:
    """Gives Neural Compressor other extremes than those that were seen."""
    complete = ModelStatistics.complete

    def changed(self: Any, converter: Any, graph_def: Any, tensors: list[str]) -> Any:
        section = complete(self, converter, graph_def, tensors)
        model = self._constants.restore(without_prints(graph_def))
        found = _histograms(model, sorted(set(tensors)), converter.input_tensor_names[0], batches)
        for name, known in found.items():
            low, high = range_of(known, method)
            for reduction, value in (("Min", low), ("Max", high)):
                key = statistic(reduction, name)
                section.add({key: np.full_like(section[key], value)})
        return section

    with mock.patch.object(ModelStatistics, "complete", changed):
        yield


def _histograms(
    graph_def: Any, tensors: list[str], given: str, batches: Batches
) -> dict[str, TensorStatistics]:
    seen = {name: Seen() for name in tensors}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        fetched = [name if ":" in name else f"{name}:0" for name in tensors]
        for batch in batches():
            values = session.run(fetched, {given if ":" in given else f"{given}:0": batch})
            for name, value in zip(tensors, values, strict=True):
                seen[name].add(value)
    found = {name: known.statistics() for name, known in seen.items()}
    return {name: known for name, known in found.items() if known is not None}


if __name__ == "__main__":
    main()
