"""ONNX models that also give the values inside of them, for calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnxruntime

from nc_sigopt_strategy.backends.onnx_files import loadable


def open_augmented(
    model: Any,
    outputs: Sequence[str],
    nodes: Sequence[Any] = (),
    provider: str = "CPUExecutionProvider",
) -> Any:
    """A session of a model that also gives other tensors, unoptimized: what is fused has no value.

    Args:
        model: A ``ModelProto``; not changed.
        outputs: Tensors that are to be outputs.
        nodes: Are added to the model.
        provider: ONNX Runtime's execution provider.
    """
    grown = onnx.ModelProto()
    grown.CopyFrom(model)
    grown.graph.node.extend(nodes)
    there = {output.name for output in grown.graph.output}
    for name in outputs:
        if name not in there:
            grown.graph.output.add().name = name
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # The arena grows in powers of two and gives nothing back while the session lives.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    with loadable(grown) as source:
        return onnxruntime.InferenceSession(source, options, providers=[provider])
