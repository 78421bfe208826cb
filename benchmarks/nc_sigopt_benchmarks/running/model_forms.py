"""The configuration's model as each runtime reads it."""

from __future__ import annotations

import dataclasses

from nc_sigopt_benchmarks.config.rivals import (
    ONNXRUNTIME,
    OPENVINO,
    RUNTIME_TITLES,
    TENSORFLOW,
)
from nc_sigopt_benchmarks.config.run_config import RunConfig, StrategyConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel, find_model
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.errors import ModelError


def model_form(config: RunConfig, given: BenchmarkModel, runtime: str | None) -> BenchmarkModel:
    """The model in the format that a runtime reads.

    Args:
        config: The run configuration.
        given: Its model, as the configuration has it.
        runtime: ``tensorflow``, ``onnxruntime`` or ``openvino``, which reads both formats;
            ``None``: that of the model.

    Raises:
        ModelError: It cannot be had in that format.
    """
    if runtime in (None, given.framework, OPENVINO):
        return given
    if runtime == TENSORFLOW:
        raise ModelError("the model is an ONNX file, which TensorFlow cannot run.")
    # Converted by ``prepare``, or in the cache by now.
    return find_model(dataclasses.replace(config.model, format="onnx"))


def fp32_deployed(config: RunConfig, given: BenchmarkModel, strategy: StrategyConfig) -> Deployed:
    """The FP32 model as a strategy's runtime opens it.

    Raises:
        ModelError: As for ``model_form``.
    """
    runtime = strategy.runtime or given.framework
    form = model_form(config, given, runtime)
    options = {}
    if runtime == ONNXRUNTIME:
        # A number of threads there would stand beside that of the deployment.
        session = config.model.session
        options = {"graph_optimization_level": session.graph_optimization_level}
    return Deployed(
        runtime,
        form.path,
        form.inputs,
        form.outputs,
        threads=config.deployment.threads,
        options=options,
        python=None if strategy.environment is None else str(strategy.environment),
        what=f"{RUNTIME_TITLES[runtime]} FP32",
    )
