"""What Neural Compressor calls to learn a model's accuracy, and the record of those calls."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nc_sigopt_benchmarks.config import CriterionConfig
from nc_sigopt_benchmarks.data import ImageSet

EVENTS_FILE = "events.jsonl"
MODELS_FOLDER = "trial_models"


class TopOneAccuracy:
    """Share of images whose highest output is their label.

    A callable object and not a function: Neural Compressor 3.7 reads the source of plain functions
    for words that it finds suspicious.

    Args:
        data: Images and labels.
        input_name: Name of the input op.
        output_name: Name of the op that gives a score per class, shape (batch, classes).
        batch_size: Images per run of the model.
    """

    def __init__(self, data: ImageSet, input_name: str, output_name: str, batch_size: int) -> None:
        self._data = data
        self._feed = f"{input_name}:0"
        self._fetch = f"{output_name}:0"
        self._batch_size = batch_size

    def __call__(self, graph: Any) -> float:
        """Top-1 accuracy, 0 to 1, of a ``tf.Graph``."""
        import tensorflow as tf

        right = 0
        # The session holds the graph's kernels and weights: close it, or each trial adds one.
        with tf.compat.v1.Session(graph=graph) as session:
            for start in range(0, len(self._data), self._batch_size):
                part = slice(start, start + self._batch_size)
                scores = session.run(self._fetch, {self._feed: self._data.images[part]})
                right += int((scores.argmax(axis=1) == self._data.labels[part]).sum())
        return right / len(self._data)


class RecordingEvaluation:
    """An evaluation that writes a line to ``events.jsonl`` for each call.

    The first call is the FP32 baseline, the others are trials. The parent process draws its
    progress bar from the file, and the record of a stock strategy is made from it.

    Args:
        evaluate: Gets the model, returns its accuracy.
        folder: Where ``events.jsonl`` goes.
        criterion: Says which trials meet the bound.
        keep_models: Whether each trial's graph is saved, to be timed after the tuning.
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
        on_event: Callable[[dict[str, Any]], None] | None = None,
        check_interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self._evaluate = evaluate
        self._folder = folder
        self._criterion = criterion
        self._keep_models = keep_models
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
            "model_path": self._save(model, number) if number and self._keep_models else None,
        }
        with (self._folder / EVENTS_FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        if self._on_event is not None:
            self._on_event(event)
        # Neural Compressor gets what the evaluation returned, right or wrong.
        return accuracy

    def _save(self, model: Any, number: int) -> str | None:
        if not hasattr(model, "as_graph_def"):
            return None
        relative = f"{MODELS_FOLDER}/trial_{number:04d}.pb"
        path = self._folder / relative
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model.as_graph_def().SerializeToString())
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
