"""Where quantizing spends its time, stock Neural Compressor and calibrating once.

    python benchmarks/scripts/trial_profile.py

The steps of a trial after the first, the default int8 configuration and, for TensorFlow, all bf16,
under Python's own profiler: it slows short calls down, so the shares count, not the seconds. Which
way is how much faster is what ``trial_costs.py`` measures.
"""

from __future__ import annotations

import cProfile
import logging
import pstats
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    FRAMEWORKS,
    MODELS,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage

IMAGES, BATCH_SIZE = 100, 20
# Step to the functions that do it, as (end of the file's name, function); none calls another.
STEPS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "tensorflow": {
        "copies of the model": [("tf_utils/graph_converter.py", "__init__")],
        "run the calibration data": [
            ("tf_utils/graph_converter.py", "_inference"),
            ("calibration/tensorflow.py", "inference"),
        ],
        "insert Print nodes": [("generic/insert_print_node.py", "do_transformation")],
        "read what was printed": [("tf_utils/graph_util.py", "gen_valid_sampling_log")],
        "insert int8 ops, quantize weights": [("tf_utils/graph_converter.py", "_quantize_graph")],
        "freeze ranges": [("tf_utils/graph_converter.py", "_freeze_requantization_ranges")],
        "fuse ops": [
            ("tf_utils/graph_converter.py", "_fuse_requantize_with_fused_quantized_node")
        ],
        "collect garbage": [("~", "<built-in method gc.collect>")],
        "insert bf16 ops": [("tf_utils/graph_converter.py", "bf16_convert")],
        "find equal nodes": [("int8/post_quantized_op_cse.py", "do_transformation")],
        "put large constants back": [("calibration/light_constants.py", "restore")],
    },
    "onnxruntime": {
        "add outputs to the model": [("ox_utils/calibration.py", "augment_graph")],
        "run the calibration data": [
            ("ox_utils/calibration.py", "get_activation_tensors_calib_range"),
            ("calibration/onnxruntime.py", "_ranges"),
        ],
        "ranges of weights": [("ox_utils/calibration.py", "get_weight_tensors_calib_range")],
        "infer shapes": [("onnx/shape_inference.py", "infer_shapes")],
        "quantize weights": [
            ("ox_utils/quantizer.py", "quantize_weight_per_channel"),
            ("ox_utils/quantizer.py", "_get_quantized_weight"),
            ("calibration/onnx_weights.py", "per_channel"),
            ("calibration/onnx_weights.py", "per_tensor"),
        ],
    },
}


def main() -> None:
    """Print one table per model and framework."""
    logging.getLogger("neural_compressor").setLevel(logging.ERROR)
    for framework in FRAMEWORKS:
        for model in MODELS:
            _profile(model, framework)


def _profile(model: str, framework: str) -> None:
    case = calibration_case(model, framework, cache_folder())
    with tempfile.TemporaryDirectory() as workspace:
        quantizer = case.quantizer(calibration_images(IMAGES), BATCH_SIZE, Path(workspace))
        configurations = {"int8": quantizer.space.default}
        if framework == "tensorflow":
            configurations["bf16"] = quantizer.uniform("bf16", "fp32")
        ours = CalibratedOnce(quantizer.framework, CalibrationUsage())
        columns = {
            f"{name}, {who}": _seconds(quantizer, assignments, calibration, framework)
            for name, assignments in configurations.items()
            for who, calibration in (("stock", None), ("once", ours))
        }
    table = Table("step (s)", *columns, title=f"{model}, {framework}")
    for step in [*STEPS[framework], "the rest", "all"]:
        cells = [f"{seconds[step]:.2f}" for seconds in columns.values()]
        if any(cell != "0.00" for cell in cells):
            table.add_row(step, *cells)
    Console(width=110).print(table)


def _seconds(
    quantizer: Quantizer, assignments: dict[str, str], ours: CalibratedOnce | None, framework: str
) -> dict[str, float]:
    with ExitStack() as stack:
        if ours is not None:
            stack.enter_context(ours)
        stack.enter_context(ReclaimedTempFiles())
        quantizer.quantize(assignments)
        profile = cProfile.Profile()
        profile.enable()
        quantizer.quantize(assignments)
        profile.disable()
    stats = pstats.Stats(profile)
    seconds = {
        step: sum(_cumulative(stats, *function) for function in functions)
        for step, functions in STEPS[framework].items()
    }
    total = float(stats.total_tt)  # type: ignore[attr-defined]  # not in its stub
    return {**seconds, "the rest": total - sum(seconds.values()), "all": total}


def _cumulative(stats: pstats.Stats, file: str, function: str) -> float:
    """Seconds in a function and all that it calls."""
    entries = stats.stats.items()  # type: ignore[attr-defined]
    return sum(
        float(cumulative)
        for (path, _, name), (_, _, _, cumulative, _) in entries
        if name == function and path.endswith(file)
    )


if __name__ == "__main__":
    main()
