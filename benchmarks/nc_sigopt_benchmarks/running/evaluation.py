"""What Neural Compressor calls to learn a model's accuracy, and the record of those calls."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nc_sigopt_benchmarks.config.run_config import CriterionConfig
from nc_sigopt_benchmarks.models.model_files import serialize
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetricsFunc

logger = logging.getLogger(__name__)

EVENTS_FILE = "events.jsonl"
MODELS_FOLDER = "trial_models"


class RecordingEvaluation:
    """An evaluation that writes a line to ``events.jsonl`` for each call.

    The first call is the FP32 baseline, the others are trials. The parent process draws its
    progress bar from the file, and the record of a stock strategy is made from it.

    Args:
        evaluate: Gets the model, returns its accuracy.
        folder: Where ``events.jsonl`` goes.
        criterion: Says which trials meet the bound.
        keep_models: Whether each trial's graph is saved, to be timed after the tuning.
        stored_metrics_func: Gets each model too, for metrics that are only kept.
        on_event: Gets each line as it is written.
        check_interrupt: Raises the ``KeyboardInterrupt`` that was swallowed on its way, if any.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], Any],
        folder: Path,
        criterion: CriterionConfig,
        *,
        keep_models: bool,
        stored_metrics_func: StoredMetricsFunc | None = None,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        check_interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self._evaluate = evaluate
        self._folder = folder
        self._criterion = criterion
        self._keep_models = keep_models
        self._stored_metrics_func = stored_metrics_func
        self._on_event = on_event
        self._check_interrupt = check_interrupt
        self._calls = 0
        self._baseline: float | None = None
        self._started = time.monotonic()
        self._process = psutil.Process()

    def __call__(self, model: Any) -> Any:
        self._check_interrupt()
        number = self._calls
        self._calls += 1
        began = time.monotonic()
        accuracy = self._evaluate(model)
        ended = time.monotonic()
        value = _as_number(accuracy)
        if number == 0:
            self._baseline = value
        meets = None
        if number and value is not None and self._baseline is not None:
            meets = self._criterion.met(value, self._baseline)
        event = {
            "trial": number,
            "accuracy": value,
            "meets_bound": meets,
            "duration_seconds": ended - began,
            "started_seconds": began - self._started,
            "ended_seconds": ended - self._started,
            "resident_bytes": self._process.memory_info().rss,
            "open_files": self._process.num_fds(),
            "stored_metrics": self._stored_metrics(model),
            "model_path": self._save(model, number) if number and self._keep_models else None,
        }
        with (self._folder / EVENTS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        if self._on_event is not None:
            self._on_event(event)
        # Neural Compressor gets what the evaluation returned, right or wrong.
        return accuracy

    def _stored_metrics(self, model: Any) -> dict[str, float]:
        if self._stored_metrics_func is None:
            return {}
        return {str(name): float(v) for name, v in self._stored_metrics_func(model).items()}

    def _save(self, model: Any, number: int) -> str | None:
        serialized = serialize(model)
        if serialized is None:
            return None
        content, suffix = serialized
        relative = f"{MODELS_FOLDER}/trial_{number:04d}{suffix}"
        path = self._folder / relative
        try:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        except OSError as error:  # a full disk costs this model's timing, not the strategy
            logger.warning("Trial %d's model could not be kept: %s", number, error)
            path.unlink(missing_ok=True)
            return None
        return relative


def read_events(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``events.jsonl`` so far; a line that is still being written is left out."""
    path = folder / EVENTS_FILE
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in complete.splitlines()]


def _as_number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
