"""SavedModels: read as frozen graphs, and written from them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.batch_norm_folding import fold_batch_norm
from nc_sigopt_benchmarks.models.frozen_graphs import check_frozen_graph, op_name, sample_batch
from nc_sigopt_strategy.errors import ModelError

SERVING = "serving_default"
# Folding changes the order of float32 operations; a mistake in it changes the first digit.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class FrozenModel:
    """A graph with its weights in it.

    Attributes:
        graph_def: The ``GraphDef``.
        inputs: Names of the input ops.
        outputs: Names of the output ops.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def freeze_saved_model(folder: Path) -> FrozenModel:
    """The serving signature of a SavedModel as a frozen graph, batch normalization folded.

    Inputs and outputs are called as in the signature where those names can be had.

    Raises:
        ModelError: The folder is no SavedModel that can be loaded, or has no serving signature.
    """
    tf = needed("tensorflow")
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # what TensorFlow raises for a damaged SavedModel varies
        raise ModelError(
            f"The SavedModel {folder} cannot be loaded: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}",
            "Save it again, or check that its folder is complete.",
        ) from error
    signatures = dict(getattr(loaded, "signatures", {}))
    name = SERVING if SERVING in signatures else next(iter(signatures), None)
    if name is None or (name != SERVING and len(signatures) > 1):
        raise ModelError(
            f"The SavedModel {folder} has no signature {SERVING!r}; its signatures: "
            f"{', '.join(sorted(signatures)) or 'none'}.",
            "Export it with one, as Keras's model.export() does.",
        )
    return freeze_function(signatures[name], folder)


def freeze_function(function: Any, origin: Path) -> FrozenModel:
    """A concrete function as a frozen graph; see ``freeze_saved_model``.

    Args:
        function: Its arguments and results are tensors, results in a mapping by name.
        origin: Names the model in errors.
    """
    tf = needed("tensorflow")
    convert = needed("tensorflow.python.framework.convert_to_constants")
    frozen = convert.convert_variables_to_constants_v2(function, lower_control_flow=False)
    inputs = tuple(op_name(tensor.name) for tensor in frozen.inputs)
    outputs = [op_name(tensor.name) for tensor in frozen.outputs]
    simplified = _with_computed_constants(frozen.graph, inputs, outputs)
    keys = sorted(function.structured_outputs)  # the order in which results are flattened
    new = {old: key for old, key in zip(outputs, keys, strict=True) if _is_free(key, simplified)}
    _rename(simplified, new)
    outputs = [new.get(name, name) for name in outputs]
    folded = FrozenModel(fold_batch_norm(simplified, outputs), inputs, tuple(outputs))
    # Inputs that have no influence on the outputs are gone.
    left = {node.name for node in folded.graph_def.node}
    if not inputs or not left.issuperset(inputs):
        raise ModelError(
            f"The model {origin} takes {', '.join(inputs) or 'no inputs'}, but its outputs depend "
            f"on {', '.join(name for name in inputs if name in left) or 'none of them'}.",
            "Export it with the inputs that it needs.",
        )
    batches = [sample_batch(folded.graph_def, name) for name in inputs]
    expected = tf.nest.flatten(_called(function, inputs, batches))
    check_same(expected, run_graph(folded, batches), origin, "freezing it")
    return folded


def _called(function: Any, inputs: Sequence[str], batches: Sequence[Any]) -> Any:
    """What a concrete function gives; a signature takes its arguments by keyword only."""
    tf = needed("tensorflow")
    tensors = dict(zip(inputs, map(tf.constant, batches), strict=True))
    _, keywords = function.structured_input_signature
    if not keywords:
        return function(*tensors.values())
    return function(**{key: tensors[op_name(spec.name)] for key, spec in keywords.items()})


def run_graph(model: FrozenModel, batches: Sequence[Any]) -> list[Any]:
    """The outputs of a frozen graph for one batch per input."""
    from nc_sigopt_strategy.backends.tensorflow import TensorFlowSession

    session = TensorFlowSession(model.graph_def, model.inputs, model.outputs)
    try:
        return session.run(batches[0] if len(batches) == 1 else tuple(batches))
    finally:
        session.close()


def check_same(expected: Any, found: Any, origin: Path, step: str) -> None:
    """Compare the outputs of a model before and after a conversion.

    Raises:
        ModelError: They differ by more than ``TOLERANCE`` of the largest output.
    """
    for before, after in zip(expected, found, strict=True):
        before, after = np.asarray(before), np.asarray(after)
        largest = float(np.abs(before).max(initial=0.0))
        if before.shape != after.shape or not np.allclose(
            before, after, rtol=0, atol=TOLERANCE * max(largest, 1e-6)
        ):
            difference = (
                f"shapes {before.shape} and {after.shape}"
                if before.shape != after.shape
                else f"up to {np.abs(before - after).max():.2g}, outputs up to {largest:.2g}"
            )
            raise ModelError(
                f"The model {origin} computes something else after {step}: {difference}.",
                "It cannot be used in this format here; please report the model.",
            )


def write_saved_model(
    graph: Path, inputs: Sequence[str], outputs: Sequence[str], folder: Path
) -> Path:
    """Write a frozen graph as a SavedModel whose serving signature names these ops.

    A signature's key is the op's name; ``scope/op`` becomes ``scope_op``, since keys are also
    names of Python arguments.

    Args:
        graph: A frozen graph, quantized or not.
        inputs: Names of its input ops.
        outputs: Names of its output ops.
        folder: Replaced where it is there already.

    Raises:
        ModelError: The graph cannot be read or lacks one of the ops.
        OSError: The folder cannot be written.
    """
    v1 = needed("tensorflow").compat.v1
    graph_def = check_frozen_graph(graph, (*inputs, *outputs))
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        with v1.Graph().as_default() as opened, v1.Session(graph=opened) as session:
            v1.import_graph_def(graph_def, name="")
            signature = v1.saved_model.predict_signature_def(
                *(
                    {_key(name): opened.get_tensor_by_name(f"{op_name(name)}:0") for name in names}
                    for names in (inputs, outputs)
                )
            )
            builder = v1.saved_model.Builder(str(partial))
            builder.add_meta_graph_and_variables(
                session, [v1.saved_model.tag_constants.SERVING], {SERVING: signature}
            )
            builder.save()
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _with_computed_constants(graph: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Everything that depends on constants only, as a constant: TensorFlow's own optimizer."""
    tf = needed("tensorflow")
    protobuf = needed("tensorflow.core.protobuf.config_pb2")
    optimizer = needed("tensorflow.python.grappler.tf_optimizer")
    meta_graph = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    # The optimizer keeps what the collection called "train_op" names.
    collection = meta_graph.collection_def["train_op"].node_list
    collection.value.extend(f"{name}:0" for name in (*inputs, *outputs))
    config = protobuf.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers.extend(["function", "constfold", "dependency", "constfold"])
    rewriting.min_graph_nodes = -1
    return optimizer.OptimizeGraph(config, meta_graph)


def _is_free(name: str, graph_def: Any) -> bool:
    return name.isidentifier() and all(node.name != name for node in graph_def.node)


def _rename(graph_def: Any, new: dict[str, str]) -> None:
    """Give nodes other names, without anything else changing; control inputs included."""
    for node in graph_def.node:
        node.name = new.get(node.name, node.name)
        for position, read in enumerate(node.input):
            op, colon, port = read.lstrip("^").partition(":")
            if op in new:
                node.input[position] = ("^" if read[0] == "^" else "") + new[op] + colon + port


def _key(name: str) -> str:
    return op_name(name).replace("/", "_")
