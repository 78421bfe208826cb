"""The backend of a framework; a framework is imported only when a model of it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import ModelError, SettingsError

_ONNX_RUNTIME = ("onnxrt", "onnxruntime")


def backend_for(framework: str, session_options: Mapping[str, Any] | None = None) -> Backend:
    """The backend of INC's framework name.

    Args:
        framework: INC's name of it.
        session_options: See ``onnxruntime.session_options``; only for ONNX Runtime.

    Raises:
        ModelError: There is none.
        SettingsError: Session options were given for another framework.
    """
    if session_options is not None and not framework.startswith(_ONNX_RUNTIME):
        raise SettingsError(
            f"onnxruntime_session_options is {dict(session_options)!r}, but the model is one of "
            f"{framework}.",
            "Leave it out: the options are for ONNX models.",
        )
    if framework.startswith("tensorflow"):
        from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend

        return TensorFlowBackend()
    if framework.startswith(_ONNX_RUNTIME):
        from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(session_options)
    raise _unknown(framework)


def inputs_of(framework: str, model: Any) -> list[ModelInput]:
    """What a model takes, in the order in which batches come.

    Args:
        framework: INC's name of it.
        model: INC's model object.

    Raises:
        ModelError: There is no backend for it.
    """
    if framework.startswith("tensorflow"):
        from nc_sigopt_strategy.backends.tensorflow_inputs import tensorflow_inputs

        return tensorflow_inputs(model.graph_def, model.input_tensor_names)
    if framework.startswith(_ONNX_RUNTIME):
        from nc_sigopt_strategy.backends.onnx_inputs import onnx_inputs

        return onnx_inputs(model.model)
    raise _unknown(framework)


def _unknown(framework: str) -> ModelError:
    return ModelError(
        f"The sigopt strategy cannot time models of framework {framework!r}.",
        "It supports TensorFlow and ONNX Runtime.",
    )
