"""What a comparison across runtimes does besides: one bound, one data set, one reference."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nc_sigopt_benchmarks.config.rivals import INC, ONNXRUNTIME, OPENVINO, RIVALS
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets import load_splits
from nc_sigopt_benchmarks.judging.comparison import StrategyResult
from nc_sigopt_benchmarks.models.benchmark_model import IMAGES
from nc_sigopt_benchmarks.running.availability import skip_reason
from nc_sigopt_benchmarks.running.model_forms import fp32_deployed, model_form
from nc_sigopt_benchmarks.running.one_shot_run import CALIBRATION_SIZE_UNKNOWN
from nc_sigopt_benchmarks.running.prepared import Prepared
from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.running.run_plan import PlannedRun, planned_run
from nc_sigopt_benchmarks.runtimes.data_files import (
    CALIBRATION,
    EVALUATION,
    HELD_OUT,
    DataFiles,
)
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.served_model import ServedModel
from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.errors import ConfigFileError, DataError
from nc_sigopt_strategy.files import write_whole

_DATA_FOLDER = "data"
# Data without labels come with an evaluation of their own: the processes of the models make them
# as this one does, which needs the harness in their environments.
_PIPELINE_FILE = "pipeline.py"
_PIPELINE = """\
from pathlib import Path

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.models.find import find_model

_config = read_config(Path({config!r}))
_made = build_pipeline(_config, find_model(_config.model))
calib_dataloader, eval_func = _made.calib_dataloader, _made.eval_func
"""
# Entries of an outcome's ``deployment`` that are OpenVINO's and ONNX Runtime's.
_PROPERTIES, _SESSION = "properties", "session_options"


@dataclass(frozen=True)
class AcrossRuntimes:
    """What all rows share.

    Attributes:
        config: The run configuration.
        prepared: Its model and data.
        data: The inputs, as files.
        baseline: Accuracy of the reference's FP32 model.
        log: Gets what the models' processes print.
    """

    config: RunConfig
    prepared: Prepared
    data: DataFiles
    baseline: float
    log: Path

    @property
    def target(self) -> float:
        """The accuracy that every row must meet."""
        return self.config.accuracy_criterion.target(self.baseline)

    def task(self, run: PlannedRun, folder: Path) -> RivalTask:
        """What a rival is asked.

        Raises:
            ModelError: The model cannot be had in its format.
        """
        criterion = self.config.accuracy_criterion
        return RivalTask(
            name=run.name,
            kwargs=run.strategy.strategy_kwargs,
            model=fp32_deployed(self.config, self.prepared.model, run.strategy),
            data=self.data,
            target=self.target,
            higher_is_better=criterion.higher_is_better,
            tolerable_loss=criterion.tolerable_loss,
            relative=criterion.criterion == "relative",
            timeout=run.timeout,
            folder=folder,
        )

    def models(self, run: PlannedRun, result: StrategyResult, folder: Path) -> Built:
        """What a run left to be opened, timed and judged; nothing if it left nothing."""
        if run.name in RIVALS:
            return Built.read(folder) or Built(())
        outcome = result.outcome
        name = outcome.files.get("model") if outcome is not None else None
        if outcome is None or name is None or not (folder / name).is_file():
            return Built(())
        given = self.prepared.model
        form = model_form(self.config, given, run.strategy.runtime)
        runtime = run.strategy.runtime or given.framework
        options = dict(
            outcome.deployment.get(_PROPERTIES if runtime == OPENVINO else _SESSION, {})
        )
        if runtime == ONNXRUNTIME and not options:
            options = self.config.model.session.as_mapping()
        deployed = Deployed(
            runtime,
            folder / name,
            form.inputs,
            form.outputs,
            threads=self.config.deployment.threads,
            options=options,
            python=None if run.strategy.environment is None else str(run.strategy.environment),
            what=f"{run.name} with {run.strategy.host or INC}, {outcome.trials} trials",
        )
        return Built((deployed,), seconds=outcome.tuning_seconds)

    def close(self) -> None:
        """Delete the files of the inputs: hundreds of megabytes, and made again if need be."""
        if self.data.folder is not None:
            shutil.rmtree(self.data.folder, ignore_errors=True)


def begin(
    config: RunConfig, prepared: Prepared, folder: Path, tell: Callable[[str], None]
) -> AcrossRuntimes:
    """Write the inputs down and evaluate the reference, before anything is spent.

    Args:
        config: The run configuration.
        prepared: Its model and data.
        folder: Run folder.
        tell: Gets a line about what goes on.

    Raises:
        ConfigFileError: The reference cannot run here.
        ModelError: It cannot be opened or evaluated.
        DataError: The inputs cannot be written.
    """
    reference = planned_run(config, config.reference)
    reason = skip_reason(reference, prepared.model)
    if reason is not None:
        raise ConfigFileError(
            f"{config.path}: speeds are relative to {reference.strategy.label}, which cannot run: "
            f"{reason}.",
            "Install that, or name another FP32 model in deployment.reference.",
        )
    data = _write_data(config, prepared, folder)
    log = folder / LOG_FILE
    tell(f"Evaluating the reference, {reference.strategy.label}.")
    with ServedModel(
        fp32_deployed(config, prepared.model, reference.strategy), data, log
    ) as served:
        baseline = served.accuracy()
    return AcrossRuntimes(config, prepared, data, baseline, log)


def _write_data(config: RunConfig, prepared: Prepared, folder: Path) -> DataFiles:
    data = config.data
    if data.python is not None:
        return DataFiles(None, data.python, data.batch_size, CALIBRATION_SIZE_UNKNOWN)
    if prepared.model.data != IMAGES:
        python = write_whole(
            folder.resolve() / _PIPELINE_FILE, _PIPELINE.format(config=str(config.path.resolve()))
        )
        return DataFiles(None, python, data.batch_size, data.calibration_images)
    files = DataFiles(
        folder.resolve() / _DATA_FOLDER, None, data.batch_size, data.calibration_images
    )
    splits = load_splits(data, prepared.model)
    parts = {CALIBRATION: splits.calibration, EVALUATION: splits.evaluation}
    if splits.held_out is not None:
        parts[HELD_OUT] = splits.held_out
    try:
        (folder / _DATA_FOLDER).mkdir(exist_ok=True)
        for name, images in parts.items():
            files.write(name, images.images, images.labels)
    except OSError as error:
        raise DataError(
            f"The images cannot be written for the processes of the models: {error}.",
            "Make room in the folder of the run, or ask for fewer images.",
        ) from error
    return files
