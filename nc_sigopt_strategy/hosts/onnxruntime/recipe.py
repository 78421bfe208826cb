"""A winner as a recipe: what ONNX Runtime's own tools need to build the same model, to the byte.

``examples/recipes/rebuild_onnxruntime.py`` does it, with ONNX Runtime and onnx alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnxruntime

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.kept_float import edits_between, keep_float
from nc_sigopt_strategy.hosts.onnxruntime.plan import Plan
from nc_sigopt_strategy.hosts.onnxruntime.prepared import Prepared
from nc_sigopt_strategy.hosts.onnxruntime.quantizer import Quantizer, Ranges

_FORMAT = 1


def recipe(
    prepared: Prepared, view: GraphView, quantizer: Quantizer, plan: Plan, ranges: Ranges
) -> dict[str, Any]:
    """What rebuilds the model of a plan, as JSON-safe data.

    Returns:
        ``format``; ``versions`` of the packages that built it; ``preparation``: see
        ``prepared.prepare``; ``quantizer``: arguments of ``QDQQuantizer``; ``ranges``: as ONNX
        Runtime's calibration cache holds them; ``kept_float``: see ``kept_float.edits_between``.
    """
    made = quantizer.quantize(plan, ranges)
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(made)
    keep_float(rewritten, view, plan)
    return {
        "format": _FORMAT,
        "versions": {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__},
        "preparation": dict(prepared.steps),
        "quantizer": quantizer.options(plan),
        "ranges": calibration_cache(ranges),
        "kept_float": edits_between(made, rewritten),
    }


def calibration_cache(ranges: Ranges) -> Mapping[str, Any]:
    """Ranges in the form of ``onnxruntime.quantization``'s calibration cache."""
    data = {
        name: {"lowest": float(low), "highest": float(high), "CLS": "TensorData"}
        for name, (low, high) in ranges.items()
    }
    return {
        "CLS": "TensorsData",
        "data": data,
        "calibration_method": {"CLS": "CalibrationMethod", "value": "CalibrationMethod.MinMax"},
    }
