"""One way to call a model of whichever runtime: what makes one ``eval_fn`` serve them all."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import Array, ModelSession
from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import DataError, ModelError, needed
from nc_sigopt_strategy.measurement.feeding import Feeder

logger = logging.getLogger("nc_sigopt_strategy")

# Gets the inputs of one batch, gives the outputs in the model's own order.
Predictor = Callable[[Any], list[Array]]
# What eval_fn gets of Keras' models.
_OF_KERAS = "nc_sigopt_strategy.hosts.inc.keras_like."
# What eval_fn gets of PyTorch, and modules of the user's own.
_OF_TORCH = ("nc_sigopt_strategy.backends.torch_compiled.", "torch.nn.modules.module.")


@dataclass(frozen=True)
class _Evaluated:
    """The model that is evaluated right now: as the user's function got it, and how to open it."""

    users: Any
    open: Callable[[], ModelSession]


_evaluated: ContextVar[_Evaluated | None] = ContextVar("nc_sigopt_evaluated", default=None)


@contextlib.contextmanager
def evaluating(users: Any, open_session: Callable[[], ModelSession]) -> Iterator[None]:
    """Inside, ``predictor(users)`` runs the model just as the tuning run times it.

    Args:
        users: What the user's function gets.
        open_session: Opens the same model with the session options or properties of the run.
    """
    token = _evaluated.set(_Evaluated(users, open_session))
    try:
        yield
    finally:
        _evaluated.reset(token)


def open_evaluated(model: Any) -> ModelSession | None:
    """A session of the model that is evaluated right now; ``None`` if it is another one."""
    current = _evaluated.get()
    if current is None:
        return None
    same = current.users is model or (isinstance(model, str) and current.users == model)
    return current.open() if same else None


def predictor(model: Any) -> Predictor:
    """A function that runs a model of any runtime.

    Inside of ``eval_fn`` the model is opened with the session options or properties of the run, so
    that accuracy is of what is timed and deployed; elsewhere with their defaults.

    Args:
        model: What ``eval_fn`` gets or ``TuningResult.model`` is: an ``onnx.ModelProto``, an
            ``openvino.CompiledModel`` or ``openvino.Model``, a ``tf.Graph``, what came from a
            Keras model, a compiled PyTorch model; or a path of an ONNX model, of OpenVINO's IR or
            of a ``.pt2`` program.

    Returns:
        It takes the inputs of a batch, as the dataloader yields them: one array for a model with
        one input, else a list by position or a dict by name; it returns a list of arrays. On ONNX
        Runtime, OpenVINO and TensorFlow they are converted, and refused with a ``DataError`` that
        names input and axis, just as batches of the dataloader are.

    Raises:
        ModelError: It is a model of no runtime known here, or cannot be opened.
        MissingExtraError: Its runtime is not installed.
    """
    session = open_evaluated(model) or _opened(model)
    known = getattr(session, "inputs", None)
    if known:
        return _feeding(session, known)

    # The session lives as long as the function.
    def predict(inputs: Any) -> list[Array]:
        by_position = isinstance(inputs, (list, tuple)) and len(inputs) == 1
        # One array by position is that array; a plain list of numbers is a batch itself.
        return session.run(inputs[0] if by_position and hasattr(inputs[0], "shape") else inputs)

    return predict


def _feeding(session: ModelSession, known: Sequence[ModelInput]) -> Predictor:
    """A predictor of a session that says what it takes."""
    # What is converted was said of the dataloader's batches, and would be said for every model.
    feeder, number = Feeder(known, "batch", logger.debug), itertools.count()

    def predict(inputs: Any) -> list[Array]:
        try:
            fed = feeder.feed(inputs, next(number))
        except DataError as error:
            raise DataError(
                error.fact, "Call what predictor gives with inputs as the dataloader yields them."
            ) from error
        return session.run(fed)

    return predict


def _opened(model: Any) -> ModelSession:
    names = [f"{known.__module__}.{known.__name__}" for known in type(model).__mro__]
    if isinstance(model, (str, os.PathLike)):
        return _opened_file(Path(model).expanduser())
    if any(name.startswith("onnx.") and name.endswith(".ModelProto") for name in names):
        return _opened_onnx(model)
    if any(name.startswith("openvino.") for name in names):
        return _opened_openvino(model)
    if any(name.startswith("tensorflow.") and name.endswith(".Graph") for name in names):
        return _opened_graph(model)
    if any(name.startswith(_OF_TORCH) for name in names):
        return _TorchSession(model)
    if any(name.startswith(_OF_KERAS) for name in names):
        opened: ModelSession = model.open_session()
        return opened
    raise ModelError(
        f"A {type(model).__name__} is no model that predictor can call.",
        "Give what eval_fn gets: an onnx.ModelProto, an openvino.CompiledModel, a tf.Graph or a "
        "compiled PyTorch model; or the path of an .onnx, .xml or .pt2 file.",
    )


def _opened_file(path: Path) -> ModelSession:
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.", "Correct the path.")
    if path.suffix.lower() == ".xml":
        needed("openvino", "nc_sigopt_strategy[openvino]", what="A model in IR")
        from nc_sigopt_strategy.backends.openvino_core import the_core

        return _opened_openvino(the_core().read_model(str(path)))
    if path.suffix.lower() == ".pt2":
        needed("torch", "nc_sigopt_strategy[torch]", what="A program of torch.export")
        needed("torchao", "nc_sigopt_strategy[torch]", what="A program of torch.export")
        from nc_sigopt_strategy.backends.torch_files import load_program

        return _TorchSession(load_program(path))
    needed("onnxruntime", "nc_sigopt_strategy[onnxruntime]", what="An ONNX model")
    from nc_sigopt_strategy.backends.onnxruntime import open_onnx_model, session_options

    return open_onnx_model(path, session_options(None))


def _opened_onnx(model: Any) -> ModelSession:
    needed("onnxruntime", "nc_sigopt_strategy[onnxruntime]", what="An ONNX model")
    from nc_sigopt_strategy.backends.onnx_files import loadable
    from nc_sigopt_strategy.backends.onnxruntime import OnnxRuntimeSession, session_options

    with loadable(model) as source:
        return OnnxRuntimeSession(source, session_options(None))


def _opened_graph(graph: Any) -> ModelSession:
    """A graph by its placeholders and by what nothing reads."""
    from nc_sigopt_strategy.backends.tensorflow import TensorFlowSession

    read = {source for op in graph.get_operations() for source in (t.op.name for t in op.inputs)}
    inputs = [op.name for op in graph.get_operations() if op.type == "Placeholder"]
    outputs = [
        op.name
        for op in graph.get_operations()
        if op.name not in read and op.outputs and op.inputs
    ]
    return TensorFlowSession(graph.as_graph_def(), inputs, outputs)


def _opened_openvino(model: Any) -> ModelSession:
    """A session of a model of OpenVINO; one that is not compiled is compiled for the CPU."""
    from nc_sigopt_strategy.backends.openvino import OpenVinoSession
    from nc_sigopt_strategy.backends.openvino_core import DEVICE, the_core

    is_compiled = hasattr(model, "create_infer_request")
    return OpenVinoSession(model if is_compiled else the_core().compile_model(model, DEVICE))


class _TorchSession:
    """A module or compiled model, called by position or by name."""

    def __init__(self, model: Any) -> None:
        self._model: Any = model

    def run(self, inputs: Any) -> list[Array]:
        """See ``ModelSession``."""
        import torch

        from nc_sigopt_strategy.backends.torch_model import as_tensor
        from nc_sigopt_strategy.backends.torch_outputs import arrays_of

        with torch.no_grad():
            if isinstance(inputs, Mapping):
                named = {name: as_tensor(value) for name, value in inputs.items()}
                return arrays_of(self._model(**named))
            parts = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            return arrays_of(self._model(*(as_tensor(part) for part in parts)))

    def close(self) -> None:
        """See ``ModelSession``."""
        self._model = None
