"""Model and data of a run configuration, found and checked before any tuning."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline, check_fits
from nc_sigopt_benchmarks.models.find import BenchmarkModel, find_model
from nc_sigopt_benchmarks.models.model_files import session_opener
from nc_sigopt_strategy.jobs.quiet import native_output_in
from nc_sigopt_strategy.jobs.sigopt_settings import check_connection


@dataclass(frozen=True)
class Prepared:
    """What stays in this process between the runs; the images are the workers'.

    Attributes:
        model: What is tuned.
        batch: What latency is timed on.
        batch_size: Inputs in it.
        evaluation_size: Inputs that evaluate, where known.
        data_description: What the inputs are, in a sentence; empty for a user's own.
    """

    model: BenchmarkModel
    batch: Any
    batch_size: int
    evaluation_size: int | None
    data_description: str = ""


def prepare(config: RunConfig, tell: Callable[[str], None] = lambda line: None) -> Prepared:
    """Find the model and the data and check them, so that mistakes show before any tuning.

    Raises:
        SigOptStrategyError: Something is missing or wrong.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for strategy in config.strategies:
        if strategy.name == SIGOPT:
            check_connection(strategy.strategy_kwargs)
    with native_output_in(None):
        model = find_model(config.model, tell=tell)
        pipeline = build_pipeline(config, model, tell=tell)
        check_fits(model, pipeline, session_opener(model, config.model.session))
    # A copy: a slice would keep all the calibration images alive.
    batch = pipeline.batch.copy() if hasattr(pipeline.batch, "copy") else pipeline.batch
    return Prepared(
        model, batch, pipeline.batch_size, pipeline.evaluation_size, pipeline.description
    )
