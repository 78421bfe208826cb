"""Calibration data and evaluation of a run: those of its model's source, or the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nc_sigopt_benchmarks.config.run_config import DataConfig, RunConfig
from nc_sigopt_benchmarks.datasets import CalibrationLoader, load_splits
from nc_sigopt_benchmarks.datasets.packaged_data import PackagedData, inputs_in, packaged_data
from nc_sigopt_benchmarks.datasets.top_one import TopOneAccuracy
from nc_sigopt_benchmarks.models.benchmark_model import IMAGES
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import OpenSession
from nc_sigopt_strategy.jobs.pipeline_file import Pipeline, check_runs, read_pipeline


@dataclass(frozen=True)
class DataPipeline(Pipeline):
    """A pipeline of which the harness knows more where it loads the data itself.

    Attributes:
        calibration_size: How many inputs calibrate; ``None`` when the user's loader knows.
        evaluation_size: How many inputs evaluate; ``None`` when only the user knows.
        description: One sentence on the data; empty for the user's own, and where the model's
            says it.
    """

    calibration_size: int | None = None
    evaluation_size: int | None = None
    description: str = ""


def build_pipeline(
    config: RunConfig, model: BenchmarkModel, *, tell: Callable[[str], None] = lambda line: None
) -> DataPipeline:
    """The pipeline of a run configuration.

    Args:
        config: Its ``data`` part and the options of its sessions count.
        model: What is tuned.
        tell: Gets lines of text while data are downloaded.

    Raises:
        DataError: Data are missing or wrong, or the user's module is.
    """
    data = config.data
    if data.python is not None:
        return DataPipeline(**vars(read_pipeline(data.python, named_by="data.python")))
    if model.data != IMAGES:
        return _without_labels(packaged_data(model, data), data)
    splits = load_splits(data, model, tell=tell)
    batch = splits.calibration.images[: data.batch_size]
    return DataPipeline(
        calib_dataloader=CalibrationLoader(splits.calibration, data.batch_size),
        eval_func=TopOneAccuracy(
            splits.evaluation,
            model.inputs[0],
            model.outputs[0],
            data.batch_size,
            config.model.session,
        ),
        batch=batch,
        batch_size=len(batch),
        calibration_size=len(splits.calibration),
        evaluation_size=len(splits.evaluation),
        description=splits.description,
    )


def _without_labels(found: PackagedData, data: DataConfig) -> DataPipeline:
    batch, _ = next(iter(found.calib_dataloader))
    return DataPipeline(
        calib_dataloader=found.calib_dataloader,
        eval_func=found.eval_func,
        batch=batch,
        batch_size=inputs_in(batch),
        calibration_size=data.calibration_images,
        evaluation_size=data.evaluation_images,
        description=found.description,
    )


def check_fits(model: BenchmarkModel, pipeline: Pipeline, open_session: OpenSession) -> None:
    """Run the FP32 model on the first calibration batch.

    Args:
        model: What is tuned.
        pipeline: Has the batch.
        open_session: Opens the model's file, in its framework.

    Raises:
        DataError: The model cannot take the batch.
        ModelError: The model cannot be opened.
    """
    check_runs(model.path, pipeline.batch, lambda: open_session(model.path))
