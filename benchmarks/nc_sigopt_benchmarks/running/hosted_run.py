"""The sigopt strategy with a host of its own, in this process, with its record in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.rivals import ONNXRUNTIME, OPENVINO
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.running.evaluation import recording_evaluation
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import own_kwargs


def run_hosted(
    config: RunConfig,
    run: PlannedRun,
    model: BenchmarkModel,
    folder: Path,
    *,
    progress: bool | None = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> RunEnd:
    """Tune ``model`` with the host that the strategy names; arguments as for ``run_strategy``.

    Raises:
        SigOptStrategyError: The host is not installed, or cannot use the model or a setting.
    """
    from nc_sigopt_strategy import autotune

    pipeline = build_pipeline(config, model)
    criterion = config.accuracy_criterion
    evaluation = recording_evaluation(
        pipeline.eval_func, folder, criterion, keep_models=False, on_event=on_event
    )
    settings = {
        "seed": run.seed,
        **own_kwargs(folder, progress),
        **_deployment(config, run),
        **run.strategy.strategy_kwargs,
    }
    if pipeline.stored_metrics_func is not None:
        settings["stored_metrics_func"] = pipeline.stored_metrics_func
    further: dict[str, Any] = {}
    if pipeline.calibration_size is not None:
        further["calibration_sampling_size"] = pipeline.calibration_size
    if model.path.suffix == ".pb":
        # Names of tensors, which every host understands.
        further["inputs"] = [f"{name}:0" for name in model.inputs]
        further["outputs"] = [f"{name}:0" for name in model.outputs]
    result = autotune(
        model.path,
        eval_fn=evaluation,
        calib_dataloader=pipeline.calib_dataloader,
        tolerable_loss=criterion.tolerable_loss,
        relative=criterion.criterion == "relative",
        higher_is_better=criterion.higher_is_better,
        max_trials=run.max_trials,
        timeout=run.timeout,
        host=run.strategy.host,
        settings=settings,
        **further,
    )
    return RunEnd(result.outcome, result.interrupted)


def _deployment(config: RunConfig, run: PlannedRun) -> dict[str, Any]:
    """How the models of the comparison are run, as the host's settings say it."""
    deployment = config.deployment
    settings: dict[str, Any] = {"latency_batch_size": deployment.latency_batch_sizes[0]}
    if run.strategy.runtime == ONNXRUNTIME:
        session = config.model.session.as_mapping()
        if deployment.threads:
            session["intra_op_num_threads"] = deployment.threads
        settings["onnxruntime_session_options"] = session
    elif run.strategy.runtime == OPENVINO and deployment.threads:
        settings["openvino_properties"] = {"INFERENCE_NUM_THREADS": deployment.threads}
    return settings
