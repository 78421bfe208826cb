"""The TensorFlow graph that a user gives, as Neural Compressor's model object."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from nc_sigopt_strategy.backends.tensorflow import read_graph_def
from nc_sigopt_strategy.errors import ModelError, SettingsError, in_one_line
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.inc.computed_weights import fold_computed_weights
from nc_sigopt_strategy.hosts.inc.given_graph import check_has_ops, refuse_quantized_graph
from nc_sigopt_strategy.hosts.inc3.inc_parts import Model
from nc_sigopt_strategy.hosts.model_kind import FROZEN, SAVED_MODEL, kind_of_model


def load_model(given: Given) -> Any:
    """The user's model as it is given.

    Args:
        given: Holds it: a path of a frozen graph, a SavedModel's folder, a ``GraphDef`` or a
            ``tf.Graph``; and the names of its ends, which only a SavedModel says itself.

    Raises:
        ModelError: It cannot be read, is of another kind, has no op of such a name, or is
            quantized already.
        SettingsError: The names of a graph's inputs or outputs are missing.
    """
    kind = kind_of_model(given.model)
    if kind not in (FROZEN, SAVED_MODEL):
        raise ModelError(
            f"host='inc3' does not read {kind}.",
            "Give a frozen graph, a SavedModel's folder, a GraphDef or a tf.Graph; a Keras model "
            "becomes a SavedModel by model.export(folder).",
        )
    if kind == FROZEN and not (given.inputs and given.outputs):
        raise SettingsError(
            "A frozen graph does not say which of its ops are inputs and outputs, and one of "
            "inputs and outputs is missing.",
            'List them: inputs=["input"], outputs=["logits"].',
        )
    model = _saved_model(given) if kind == SAVED_MODEL else _frozen(given)
    refuse_quantized_graph(model.graph_def)
    return model


def with_folded_weights(model: Any) -> Any:
    """The model with weights that it computes from constants made constants; see there."""
    graph = model.graph_def
    folded = fold_computed_weights(graph, keep=model.output_node_names)
    return wrapped(folded, model.input_tensor_names, model.output_tensor_names)


def wrapped(graph_def: Any, inputs: list[str], outputs: list[str]) -> Any:
    """Neural Compressor's model object of a graph.

    Args:
        graph_def: A ``GraphDef``.
        inputs: Names of tensors or ops.
        outputs: Likewise.
    """
    model = Model(graph_def)
    # Before the first look at the graph, which would guess them.
    model.input_tensor_names, model.output_tensor_names = list(inputs), list(outputs)
    return model


def _frozen(given: Given) -> Any:
    model, shown = given.model, "The given graph"
    if isinstance(model, (str, os.PathLike)):
        shown = f"The model {os.fspath(model)}"
        graph_def = read_graph_def(Path(model).expanduser())
    elif isinstance(model, tf.Graph):
        graph_def = model.as_graph_def()
    else:
        graph_def = tf.compat.v1.GraphDef()
        graph_def.CopyFrom(model)
    check_has_ops(graph_def.node, [*given.inputs, *given.outputs], shown)
    return wrapped(graph_def, list(given.inputs), list(given.outputs))


def _saved_model(given: Given) -> Any:
    path = str(Path(given.model).expanduser())
    try:
        model = Model(path, modelType="saved_model")
        ends = model.input_tensor_names, model.output_tensor_names
        # The variables are constants in its graph.
        return wrapped(model.graph_def, *ends)
    except Exception as error:  # TensorFlow's loaders have classes of their own
        raise ModelError(
            f"The SavedModel {path} cannot be loaded: {in_one_line(error)}",
            "It needs a signature serving_default; export it anew with model.export(folder) or "
            "tf.saved_model.save.",
        ) from error
