"""``neural_compressor.tensorflow.autotune``: what INC 3 offers in place of strategies.

It tries settings for the whole model, in a fixed order, and ends with the first that meets the
bound. A setting for single ops it knows, and has none of them in its own set.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from neural_compressor.common.base_tuning import TuningConfig
from neural_compressor.tensorflow import Model, StaticQuantConfig, autotune

from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.runtimes.data_files import DataFiles
from nc_sigopt_strategy.errors import ModelError

MODEL_FILE = "best_model.pb"
# More than its own set has, so that the time or the end of the set ends it.
_TRIALS = 1000


def build_autotune(task: RivalTask) -> Built:
    """The rival: the model that meets the bound, else the most accurate one.

    Raises:
        ModelError: The metric is to be low, which it cannot be told, or nothing was made.
    """
    if not task.higher_is_better:
        raise ModelError("Neural Compressor's autotune takes no metric that is to be low.")
    model = Model(str(task.model.path))
    model.input_tensor_names = list(task.model.inputs)
    model.output_tensor_names = list(task.model.outputs)
    tried = Tried(task)
    config = TuningConfig(
        config_set=StaticQuantConfig.get_config_set_for_tuning(), max_trials=_TRIALS
    )
    loader = Batches(task.data, tried.check_time)
    batches = math.ceil(task.data.calibration_size / loader.batch_size)

    def evaluate(candidate: Any) -> float:
        accuracy = tried.accuracy(candidate)
        if tried.count == 0:
            # It knows relative losses only, of what FP32 reaches here.
            config.tolerable_loss = 1.0 - task.target / accuracy
        return accuracy

    why = "all of its settings were tried"
    try:
        # It leaves files where it works: a copy of the model and what it calibrated.
        with _working_in(task.folder):
            autotune(model, config, evaluate, calib_dataloader=loader, calib_iteration=batches)
    except TimeUpError:
        why = "the time was up"
    if tried.best is None:
        raise ModelError(f"Neural Compressor's autotune made no model when {why}.")
    made = task.made(task.folder / MODEL_FILE, what=f"INC 3's autotune, {tried.count} trials")
    note = "" if task.met(tried.best) else f"The bound was not met when {why}."
    return Built((made,), note=note)


class TimeUpError(Exception):
    """Ends a tuning that has no limit of its own."""


class Tried:
    """The models that are evaluated, FP32 first, of which the best is kept.

    Attributes:
        best: Accuracy of the best quantized model; ``None`` before the first.
        count: How many quantized models there were; -1 before FP32.
    """

    def __init__(self, task: RivalTask) -> None:
        self._task = task
        self._end = time.monotonic() + task.timeout if task.timeout else math.inf
        self.best: float | None = None
        self.count = -1

    def accuracy(self, candidate: Any) -> float:
        """What the evaluation says of Neural Compressor's model object.

        Raises:
            TimeUpError: There is no time for another.
        """
        path = self._task.folder / "candidate.pb"
        path.write_bytes(candidate.graph_def.SerializeToString())
        accuracy = self._task.accuracy(self._task.made(path))
        self.count += 1
        if self.count and (self.best is None or accuracy > self.best):
            self.best = accuracy
            path.replace(self._task.folder / MODEL_FILE)
        path.unlink(missing_ok=True)
        print(f"trial {self.count}: accuracy {accuracy:.4f}", flush=True)
        if not (self.count and self._task.met(accuracy)):
            self.check_time()
        return accuracy

    def check_time(self) -> None:
        """End the tuning if its time is up and there is a model.

        Raises:
            TimeUpError: There is no time for another.
        """
        if self.count > 0 and time.monotonic() > self._end:
            raise TimeUpError


class Batches:
    """Whole batches, as Neural Compressor reads them.

    Args:
        data: Of which the part that calibrates is read.
        check_time: Called before each: to calibrate by "kl" takes minutes, with no other place
            to end it.
    """

    def __init__(self, data: DataFiles, check_time: Callable[[], None]) -> None:
        self._data = data
        self._check_time = check_time
        self.batch_size = data.batch_size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for inputs in self._data.calibration():
            self._check_time()
            yield inputs, np.zeros(self.batch_size)


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
