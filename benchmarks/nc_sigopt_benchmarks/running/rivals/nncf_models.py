"""NNCF's post-training quantization for OpenVINO, plain and under a bound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino

from nc_sigopt_benchmarks.running.rivals.as_it_is import F32, PRECISION
from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.runtimes.data_files import EVALUATION, DataFiles, right_answers
from nc_sigopt_benchmarks.runtimes.openvino_model import read_openvino

MODEL_FILE = "best_model.xml"
_PRESETS = {
    "mixed": nncf.QuantizationPreset.MIXED,
    "performance": nncf.QuantizationPreset.PERFORMANCE,
}


def build_quantize(task: RivalTask) -> Built:
    """``nncf.quantize``: every op that it can, whatever comes of the accuracy.

    https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training/basic-quantization-flow.html
    """
    preset = task.kwargs.get("preset", "performance")
    fast = task.kwargs.get("fast_bias_correction", True)
    quantized = nncf.quantize(
        read_openvino(task.model.path, task.model.outputs),
        _calibration(task.data),
        preset=_PRESETS[preset],
        subset_size=task.data.calibration_size,
        fast_bias_correction=fast,
    )
    path = _saved(quantized, task.folder)
    what = f"nncf.quantize, preset {preset}"
    return Built((task.made(path, what=what if fast else f"{what}, full bias correction"),))


def build_accuracy_control(task: RivalTask) -> Built:
    """``nncf.quantize_with_accuracy_control``: ops are taken out until the bound is met.

    It validates in fp32, while ``compile_model`` runs in bfloat16 where the CPU has it, so that
    what meets the bound and what is deployed may be two things: a row each.
    https://docs.openvino.ai/2025/openvino-workflow/model-optimization-guide/quantizing-models-post-training/quantizing-with-accuracy-control.html
    """
    preset = task.kwargs.get("preset", "performance")
    items, validate = _validation(task)
    kind = nncf.DropType.RELATIVE if task.relative else nncf.DropType.ABSOLUTE
    quantized = nncf.quantize_with_accuracy_control(
        read_openvino(task.model.path, task.model.outputs),
        _calibration(task.data),
        nncf.Dataset(items),
        validate,
        max_drop=task.tolerable_loss,
        drop_type=kind,
        preset=_PRESETS[preset],
        subset_size=task.data.calibration_size,
    )
    path = _saved(quantized, task.folder)
    what = "NNCF accuracy control"
    return Built(
        (
            task.made(path, what=f"{what}, as validated (f32)", **{PRECISION: F32}),
            task.made(path, suffix="default", what=f"{what}, default run"),
        )
    )


def _calibration(data: DataFiles) -> Any:
    # One input an item: NNCF counts items, and averages ranges over them.
    return nncf.Dataset(list(data.single_inputs()))


def _validation(task: RivalTask) -> tuple[list[Any], Any]:
    """Items and a function as NNCF wants them: metric, and the metric of each item."""
    sign = 1.0 if task.higher_is_better else -1.0
    data = task.data
    if data.folder is None:

        def by_user(model: Any, chosen: Iterable[Any]) -> tuple[float, list[float]]:
            # The user's evaluation knows no items: it is one item itself.
            value = sign * data.evaluated(model)
            return value, [value for _ in chosen]

        return [0], by_user
    images = np.load(data.folder / f"{EVALUATION}.npy", mmap_mode="r")
    labels = np.load(data.folder / f"{EVALUATION}_labels.npy")

    def by_image(model: Any, chosen: Iterable[int]) -> tuple[float, list[float]]:
        places = np.fromiter(chosen, np.int64)
        right = right_answers(
            lambda batch: model(batch)[0], images[places], labels[places], data.batch_size
        )
        return float(right.mean()), [float(one) for one in right]

    return list(range(len(labels))), by_image


def _saved(model: Any, folder: Path) -> Path:
    path = folder / MODEL_FILE
    # Weights that stay float are kept as they are: fp16 would be another model.
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return path
