"""The inputs of a TensorFlow graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.op_graph import Shape


def tensorflow_inputs(graph_def: Any, names: Sequence[str]) -> list[ModelInput]:
    """What is known of the tensors that are fed.

    Args:
        graph_def: The graph.
        names: Of the tensors, with or without ``:0``, in the order in which batches come.
    """
    nodes = {node.name: node for node in graph_def.node}
    return [_input(name.removesuffix(":0"), nodes) for name in names]


def _input(name: str, nodes: dict[str, Any]) -> ModelInput:
    node = nodes.get(name)
    if node is None or node.op not in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
        return ModelInput(name)
    shape: Shape = None
    # Graphs from before TensorFlow 1.0 wrote an unknown shape as that of a scalar.
    if "shape" in node.attr and node.attr["shape"].shape.dim:
        shape = tuple(dim.size if dim.size >= 0 else None for dim in node.attr["shape"].shape.dim)
    found = tf.as_dtype(node.attr["dtype"].type)
    known = found.is_floating or found.is_integer or found.is_bool or found.is_complex
    return ModelInput(
        name,
        shape,
        np.dtype(found.as_numpy_dtype) if known and found != tf.bfloat16 else None,
    )
