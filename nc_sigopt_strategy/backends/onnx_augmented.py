"""ONNX models that also give the values inside of them, for calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime

from nc_sigopt_strategy.backends.onnx_files import loadable

# 256 MiB of float32: more than any one tensor of an image classifier at a batch of 20.
_ELEMENTS_AT_ONCE = 64 * 2**20


def reductions(tensors: Sequence[str], ops: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Nodes that reduce each tensor by each op, tensor by tensor.

    ``open_augmented`` is to get them the last first: ONNX Runtime (1.22) then reduces each tensor
    as soon as it is there. In the order of the graph it reduces at the end, with every tensor
    still in memory.

    Args:
        tensors: Names.
        ops: Types of ops to their attributes.
    """
    return [
        onnx.helper.make_node(op, [name], [f"nc_sigopt/{op}/{position}"], **options)
        for position, name in enumerate(tensors)
        for op, options in ops.items()
    ]


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


def in_groups(sizes: Mapping[str, int], limit: int = _ELEMENTS_AT_ONCE) -> list[list[str]]:
    """Names in groups of at most so many elements altogether, or of one tensor."""
    groups: list[list[str]] = []
    taken = 0
    for name, size in sizes.items():
        if not groups or taken + size > limit:
            groups.append([])
            taken = 0
        groups[-1].append(name)
        taken += size
    return groups
