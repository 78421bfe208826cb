"""What the harness notes of each evaluation beside its accuracy, and the models that it keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nc_sigopt_benchmarks.config.run_config import CriterionConfig
from nc_sigopt_benchmarks.models.model_files import serialize
from nc_sigopt_strategy.jobs.evaluation import Event, RecordingEvaluation
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetricsFunc

logger = logging.getLogger(__name__)

MODELS_FOLDER = "trial_models"


def recording_evaluation(
    evaluate: Callable[[Any], Any],
    folder: Path,
    criterion: CriterionConfig,
    *,
    keep_models: bool,
    stored_metrics_func: StoredMetricsFunc | None = None,
    on_event: Callable[[Event], None] | None = None,
    check_interrupt: Callable[[], None] = lambda: None,
) -> RecordingEvaluation:
    """An evaluation whose lines also tell of memory, files, stored metrics and kept models.

    The record of a stock strategy is made from these lines.

    Args:
        evaluate: Gets the model, returns its accuracy.
        folder: Where ``events.jsonl`` goes.
        criterion: Says which trials meet the bound.
        keep_models: Whether each trial's graph is saved, to be timed after the tuning.
        stored_metrics_func: Gets each model too, for metrics that are only kept.
        on_event: Gets each line as it is written.
        check_interrupt: Raises the ``KeyboardInterrupt`` that was swallowed on its way, if any.
    """
    process = psutil.Process()

    def details(model: Any, number: int) -> Event:
        return {
            "resident_bytes": process.memory_info().rss,
            "open_files": process.num_fds(),
            "stored_metrics": _stored_metrics(model, stored_metrics_func),
            "model_path": _save(model, number, folder) if number and keep_models else None,
        }

    return RecordingEvaluation(
        evaluate,
        folder,
        criterion.met,
        details=details,
        on_event=on_event,
        check_interrupt=check_interrupt,
    )


def _stored_metrics(model: Any, measure: StoredMetricsFunc | None) -> dict[str, float]:
    if measure is None:
        return {}
    return {str(name): float(value) for name, value in measure(model).items()}


def _save(model: Any, number: int, folder: Path) -> str | None:
    serialized = serialize(model)
    if serialized is None:
        return None
    content, suffix = serialized
    relative = f"{MODELS_FOLDER}/trial_{number:04d}{suffix}"
    path = folder / relative
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    except OSError as error:  # a full disk costs this model's timing, not the strategy
        logger.warning("Trial %d's model could not be kept: %s", number, error)
        path.unlink(missing_ok=True)
        return None
    return relative
