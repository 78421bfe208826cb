"""A run configuration as Neural Compressor's own configuration object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import ONNXRUNTIME
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.autotuning.run_folder import WORKSPACE_FOLDER
from nc_sigopt_strategy.errors import UnsupportedVersionError

# What the number in Neural Compressor's quant_level makes of the strategy's name.
_QUANT_LEVELS: dict[str, int | str] = {"auto": "auto", "conservative": 0}
# ONNX Runtime's names of its formats to Neural Compressor's.
INC_QUANT_FORMATS = {"QOperator": "default", "QDQ": "QDQ"}


def inc_config(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    calibration_size: int | None,
    own_kwargs: Mapping[str, Any],
) -> Any:
    """Neural Compressor's ``PostTrainingQuantConfig`` of one run.

    Args:
        config: The run configuration.
        run: Which of its runs.
        model: What is tuned.
        folder: Of the run.
        calibration_size: How many inputs calibrate; ``None`` leaves it to Neural Compressor.
        own_kwargs: What the harness itself gives to the sigopt strategy.

    Raises:
        UnsupportedVersionError: The installed Neural Compressor has no such strategy.
    """
    if run.name == SIGOPT:
        # Registers the strategy; must come before the configuration names it.
        import nc_sigopt_strategy  # noqa: F401
    from neural_compressor import config as inc

    inc.options.workspace = str(folder / WORKSPACE_FOLDER)
    inc.options.random_seed = run.seed
    level = _QUANT_LEVELS.get(run.name, 1)
    kwargs = dict(run.strategy.strategy_kwargs)
    if run.name == SIGOPT:
        kwargs = _sigopt_kwargs(config, run, model, own_kwargs)
    criterion = config.accuracy_criterion
    try:
        tuning = inc.TuningCriterion(
            strategy="basic" if run.name in _QUANT_LEVELS else run.name,
            strategy_kwargs=kwargs or None,
            timeout=run.timeout,
            max_trials=run.max_trials,
        )
    except AssertionError as error:
        raise UnsupportedVersionError(
            f"This Neural Compressor has no strategy {run.name!r}: {error}.",
            "Take the strategy out of the run configuration.",
        ) from error
    further: dict[str, Any] = {}
    if calibration_size is not None:
        further["calibration_sampling_size"] = [calibration_size]
    if model.framework == ONNXRUNTIME:
        further["quant_format"] = INC_QUANT_FORMATS[config.model.quant_format]
    else:
        further.update(inputs=list(model.inputs), outputs=list(model.outputs))
    return inc.PostTrainingQuantConfig(
        # Left at "auto", Neural Compressor replaces a stock strategy by its conservative one.
        quant_level=level,
        accuracy_criterion=inc.AccuracyCriterion(
            higher_is_better=criterion.higher_is_better,
            criterion=criterion.criterion,
            tolerable_loss=float(criterion.tolerable_loss),
        ),
        tuning_criterion=tuning,
        **further,
    )


def _sigopt_kwargs(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    own_kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    given = dict(run.strategy.strategy_kwargs)
    if "seed" in given:
        given["seed"] += run.repeat - 1
    kwargs: dict[str, Any] = {"seed": run.seed, **own_kwargs}
    if model.framework == ONNXRUNTIME:
        kwargs["onnxruntime_session_options"] = config.model.session.as_mapping()
    return {**kwargs, **given}
