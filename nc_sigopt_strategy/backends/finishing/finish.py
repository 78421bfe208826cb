"""``finish``: all rewrites in their order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.finishing.bf16_chains import join_bf16_chains
from nc_sigopt_strategy.backends.finishing.cast_pairs import remove_cast_pairs, share_casts
from nc_sigopt_strategy.backends.finishing.dequantized import dequantize_to_bf16
from nc_sigopt_strategy.backends.finishing.editable_graph import EditableGraph
from nc_sigopt_strategy.backends.finishing.input_shapes import state_input_shapes
from nc_sigopt_strategy.backends.finishing.int8_islands import keep_int8
from nc_sigopt_strategy.backends.finishing.tensorflow_version import require_finishing
from nc_sigopt_strategy.errors import ModelError

logger = logging.getLogger("nc_sigopt_strategy")

# Shapes before chains, which join where TensorFlow fuses; the Casts around what joins are what the
# next ones remove.
REWRITES: tuple[Callable[[EditableGraph], int], ...] = (
    keep_int8,
    state_input_shapes,
    join_bf16_chains,
    remove_cast_pairs,
    share_casts,
    dequantize_to_bf16,
)


def finish(graph: Any, outputs: Iterable[str] = ()) -> Any:
    """Rewrite a quantized TensorFlow graph so that it computes the same in less time.

    What a run with ``finishing="on"`` does to each of its models. Names and types of inputs and
    outputs stay, and so do control inputs and functions; a graph without bf16 and int8 ops comes
    back as it is. Finishing a finished graph changes nothing.

    Args:
        graph: A ``GraphDef``, a ``tf.Graph``, or Neural Compressor's model of one.
        outputs: Names of tensors or nodes that are fetched, besides those that no node reads.
            Neural Compressor's model names its own.

    Returns:
        A new ``GraphDef`` or ``tf.Graph``; of Neural Compressor's model, the same object with a
        finished graph.

    Raises:
        ModelError: It is nothing of that kind, or has no node of an output's name.
        UnsupportedVersionError: TensorFlow is older than 2.18.
    """
    require_finishing()
    if isinstance(graph, tf.compat.v1.GraphDef):
        return _finished(graph, outputs)
    if isinstance(graph, tf.Graph):
        imported = tf.Graph()
        with imported.as_default():
            tf.import_graph_def(_finished(graph.as_graph_def(), outputs), name="")
        return imported
    if isinstance(getattr(graph, "graph_def", None), tf.compat.v1.GraphDef):
        given = graph.graph_def
        made = _finished(given, [*graph.output_tensor_names, *outputs])
        if made is not given:
            # It opens a session for each graph that it is given.
            graph.graph_def = made
        return graph
    raise ModelError(
        f"finish takes a TensorFlow graph, but got a {type(graph).__name__}.",
        "Give a GraphDef, a tf.Graph, or the model that Neural Compressor's fit returned.",
    )


def _finished(graph_def: Any, outputs: Iterable[str]) -> Any:
    graph = EditableGraph(graph_def, outputs)
    missing = sorted(graph.outputs - graph.nodes.keys())
    if missing:
        raise ModelError(
            f"The graph has no node {missing[0]!r}.",
            f"Its last node is {graph_def.node[-1].name!r}; correct the names of the outputs."
            if graph_def.node
            else "It is empty.",
        )
    changes = {rewrite.__name__: rewrite(graph) for rewrite in REWRITES}
    logger.debug("Finished a graph: %s", changes)
    return graph.graph_def() if any(changes.values()) else graph_def
