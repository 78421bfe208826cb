"""What the model in a file takes, read with the framework that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import ModelError, in_one_line, needed
from nc_sigopt_strategy.hosts.model_kind import FROZEN, IR, ONNX, SAVED_MODEL, kind_of_model

_EXTRAS = {
    ONNX: ("onnx", "onnxruntime"),
    IR: ("openvino", "openvino"),
    FROZEN: ("tensorflow", "tensorflow"),
    SAVED_MODEL: ("tensorflow", "tensorflow"),
}


def file_inputs(path: Path) -> list[ModelInput]:
    """The inputs of a model, in the order in which they are fed; of a frozen graph those it has.

    Args:
        path: An ONNX model, OpenVINO's IR, a frozen graph or a SavedModel's folder.

    Raises:
        ModelError: There is no such model, or it cannot be read.
        MissingExtraError: The framework that reads it is not installed.
    """
    kind = kind_of_model(path)
    if kind not in _EXTRAS:
        raise ModelError(
            f"{path} is {kind}, whose inputs are not read here.",
            "Export it as a SavedModel or as ONNX, or write the file by the example in the guide.",
        )
    module, extra = _EXTRAS[kind]
    needed(module, f"nc_sigopt_strategy[{extra}]", what=f"Reading {kind}")
    read = {ONNX: _onnx, IR: _ir, FROZEN: _frozen, SAVED_MODEL: _saved_model}[kind]
    try:
        return read(path)
    except Exception as error:  # each framework has its own classes
        raise ModelError(
            f"The model {path} cannot be read: {in_one_line(error).rstrip('.')}.",
            "A file that is incomplete, or of another kind than its name says, is the usual "
            "reason.",
        ) from error


def _onnx(path: Path) -> list[ModelInput]:
    import onnx

    from nc_sigopt_strategy.backends.onnx_inputs import onnx_inputs

    return onnx_inputs(onnx.load(str(path), load_external_data=False))


def _ir(path: Path) -> list[ModelInput]:
    from nc_sigopt_strategy.backends.openvino_core import the_core
    from nc_sigopt_strategy.backends.openvino_graph import openvino_inputs

    return openvino_inputs(the_core().read_model(str(path)))


def _frozen(path: Path) -> list[ModelInput]:
    import tensorflow as tf

    from nc_sigopt_strategy.backends.tensorflow_inputs import tensorflow_inputs

    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    fed = [node.name for node in graph.node if node.op == "Placeholder"]
    return tensorflow_inputs(graph, fed)


def _saved_model(path: Path) -> list[ModelInput]:
    import tensorflow as tf

    signature: Any = tf.saved_model.load(str(path)).signatures["serving_default"]
    _, specs = signature.structured_input_signature
    return [
        ModelInput(name, _shape(spec.shape), spec.dtype.as_numpy_dtype)
        for name, spec in specs.items()
    ]


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())
