"""Models of either framework as files: opened to be run, saved, told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nc_sigopt_benchmarks.config.run_config import SessionConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.errors import ModelError

TENSORFLOW = "tensorflow"
ONNXRUNTIME = "onnxruntime"
OPENVINO = "openvino"
_SUFFIXES = {TENSORFLOW: ".pb", ONNXRUNTIME: ".onnx", OPENVINO: ".xml"}
OpenSession = Callable[[Path], ModelSession]


def best_model_file(framework: str) -> str:
    """Name of the file with a strategy's best model."""
    return f"best_model{_SUFFIXES[framework]}"


def session_opener(model: BenchmarkModel, session: SessionConfig) -> OpenSession:
    """What opens FP32 and quantized versions of a model, all in the same way.

    Args:
        model: Says framework, inputs and outputs.
        session: Options of ONNX Runtime's sessions.

    Returns:
        A function that raises ``ModelError`` for a file that cannot be used.
    """

    def open_session(path: Path) -> ModelSession:
        try:
            if model.framework == ONNXRUNTIME:
                from nc_sigopt_strategy.backends.onnxruntime import (
                    open_onnx_model,
                    session_options,
                )

                options = session_options(session.as_mapping())
                return open_onnx_model(path, options)
            from nc_sigopt_strategy.backends.tensorflow import open_frozen_graph

            return open_frozen_graph(path, model.inputs, model.outputs)
        except ModelError:
            raise
        except Exception as error:  # what a framework raises for what it cannot load varies
            raise ModelError(f"{path} cannot be loaded: {error}") from error

    return open_session


def serialize(evaluated: Any) -> tuple[bytes, str] | None:
    """The content of a model's file and its suffix, from what an ``eval_func`` gets.

    Args:
        evaluated: A ``tf.Graph`` or an ``onnx.ModelProto``; ``None`` is returned for others.
    """
    if hasattr(evaluated, "as_graph_def"):
        return bytes(evaluated.as_graph_def().SerializeToString()), _SUFFIXES[TENSORFLOW]
    if hasattr(evaluated, "opset_import"):
        return bytes(evaluated.SerializeToString()), _SUFFIXES[ONNXRUNTIME]
    return None


def evaluated_model(model: BenchmarkModel) -> Any:
    """The FP32 model as an ``eval_func`` gets it: a ``tf.Graph`` or an ``onnx.ModelProto``."""
    if model.framework == ONNXRUNTIME:
        import onnx

        return onnx.load(str(model.path))
    import tensorflow as tf

    from nc_sigopt_strategy.backends.tensorflow import read_graph_def

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(read_graph_def(model.path), name="")
    return graph


def file_fingerprint(path: Path) -> str:
    """A hash that two files share exactly when they hold the same model."""
    if path.suffix == _SUFFIXES[OPENVINO]:
        files = (path, path.with_suffix(".bin"))
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    if path.suffix == _SUFFIXES[ONNXRUNTIME]:
        import onnx

        content = onnx.load(str(path)).SerializeToString(deterministic=True)
        return hashlib.sha256(content).hexdigest()
    from nc_sigopt_strategy.backends.tensorflow import TensorFlowBackend, read_graph_def

    return TensorFlowBackend().fingerprint(SimpleNamespace(graph_def=read_graph_def(path)))
