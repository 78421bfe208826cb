"""A model that somebody gives, loaded as ``fit`` loads it, and how it is to be tuned."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neural_compressor import config as inc
from neural_compressor.model import Model

from nc_sigopt_strategy.backends.backend import Backend, ModelSession
from nc_sigopt_strategy.backends.find import backend_for
from nc_sigopt_strategy.errors import ModelError, SettingsError, in_one_line, needed
from nc_sigopt_strategy.hosts.given import DEFAULT_SAMPLING_SIZE, Criterion
from nc_sigopt_strategy.hosts.inc.given_graph import check_has_ops
from nc_sigopt_strategy.hosts.inc.keras_models import exported, keep_export
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME
from nc_sigopt_strategy.hosts.model_kind import name_of_model

_FROZEN, _ONNX = ".pb", ".onnx"


@dataclass(frozen=True)
class GivenModel:
    """A model that could be loaded.

    Attributes:
        name: Its path, or what else names it in messages.
        source: What ``fit`` gets: the path or the given object; the graph of a SavedModel.
        inputs: Names of its inputs, as INC is told them.
        outputs: Names of its outputs, as INC is told them.
        framework: INC's name of its framework.
        model: INC's model object.
        backend: Runs it.
    """

    name: str
    source: Any
    inputs: Sequence[str]
    outputs: Sequence[str]
    framework: str
    model: Any
    backend: Backend

    def open(self) -> ModelSession:
        """A session of it."""
        return self.backend.open(self.model)


@dataclass(frozen=True)
class Tuning:
    """How a model is tuned by the sigopt strategy.

    Attributes:
        strategy_kwargs: All of the strategy's.
        criterion: How much accuracy may be lost.
        timeout: Seconds; 0 leaves the end to ``max_trials``.
        max_trials: Observation budget.
        sampling_sizes: How many inputs may calibrate.
    """

    strategy_kwargs: Mapping[str, Any]
    criterion: Criterion
    timeout: int
    max_trials: int
    sampling_sizes: Sequence[int] = (DEFAULT_SAMPLING_SIZE,)

    def config(self, model: GivenModel, workspace: Path) -> Any:
        """INC's ``PostTrainingQuantConfig``; INC's own files go into the workspace."""
        inc.options.workspace = str(workspace)
        criterion = self.criterion
        return inc.PostTrainingQuantConfig(
            inputs=list(model.inputs),
            outputs=list(model.outputs),
            # Left at "auto", it would be for INC to say which strategy runs.
            quant_level=1,
            calibration_sampling_size=list(self.sampling_sizes),
            accuracy_criterion=inc.AccuracyCriterion(
                higher_is_better=_one_direction(criterion),
                criterion="relative" if criterion.relative else "absolute",
                tolerable_loss=criterion.tolerable_loss,
            ),
            tuning_criterion=inc.TuningCriterion(
                strategy=STRATEGY_NAME,
                strategy_kwargs=dict(self.strategy_kwargs),
                timeout=self.timeout,
                max_trials=self.max_trials,
            ),
        )


def given_model(
    model: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    session_options: Mapping[str, Any] | None,
) -> GivenModel:
    """Whatever a user gives: a path, a Keras 3 model, or another framework's model object.

    Arguments and errors as those of ``load_model``, but that ``model`` is the path or object.
    """
    export = exported(model)
    if export is not None:
        loaded = load_model(Path(export.path), inputs, outputs, session_options)
        keep_export(loaded.model, export)
        # The export and not its graph: what came from Keras is called as Keras' models are.
        name = str(model) if isinstance(model, (str, os.PathLike)) else name_of_model(model)
        return dataclasses.replace(
            loaded, name=name, source=export, inputs=inputs, outputs=outputs
        )
    if isinstance(model, (str, os.PathLike)):
        path = Path(model).expanduser().absolute()
        return load_model(path, inputs, outputs, session_options)
    return model_object(model, inputs, outputs, session_options)


def load_model(
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    session_options: Mapping[str, Any] | None,
) -> GivenModel:
    """Load a model as INC does.

    Args:
        path: Of a frozen graph, a SavedModel's folder or an ONNX model.
        inputs: Names of its inputs; empty for those that it names itself.
        outputs: Names of its outputs; empty for those that it names itself.
        session_options: As ``backend_for`` takes them.

    Raises:
        ModelError: It cannot be loaded, has no op of such a name, or no backend runs it.
        SettingsError: Session options were given for another framework.
        MissingExtraError: Its framework is not installed.
    """
    _import_framework(path)
    conf = inc.PostTrainingQuantConfig(inputs=list(inputs), outputs=list(outputs))
    try:
        model = Model(str(path), conf=conf)
        backend = backend_for(conf.framework, session_options)
        if path.suffix == _FROZEN:
            check_has_ops(model.graph_def.node, [*inputs, *outputs], f"The model {path}")
        if not path.is_dir():
            given: tuple[Any, Sequence[str], Sequence[str]] = (str(path), inputs, outputs)
        else:
            # Given the folder, INC would hand the FP32 model to eval_func as another kind of
            # object than the quantized ones.
            given = (model.graph_def, model.input_tensor_names, model.output_tensor_names)
        return GivenModel(str(path), *given, str(conf.framework), model, backend)
    except (ModelError, SettingsError):
        raise
    except Exception as error:  # what a framework raises for what it cannot load varies
        said = str(error).rstrip(".") or type(error).__name__
        raise ModelError(
            f"The model {path} cannot be loaded: {said}.",
            "Give a frozen graph (.pb) with its --inputs and --outputs, a SavedModel's folder or "
            "an ONNX model.",
        ) from error


def model_object(
    model: Any,
    inputs: Sequence[str],
    outputs: Sequence[str],
    session_options: Mapping[str, Any] | None,
) -> GivenModel:
    """A framework's own model object, wrapped as INC does; arguments and errors as before."""
    name = f"(a {type(model).__name__})"
    conf = inc.PostTrainingQuantConfig(inputs=list(inputs), outputs=list(outputs))
    if hasattr(model, "as_graph_def"):
        model = model.as_graph_def()  # a tf.Graph, which cannot be copied
    try:
        # INC rewrites in place what it is given; the copy stays as it is.
        wrapped = Model(copy.deepcopy(model), conf=conf)
        backend = backend_for(conf.framework, session_options)
    except (ModelError, SettingsError):
        raise
    except Exception as error:  # what a framework raises for what it cannot load varies
        raise ModelError(
            f"The model {name} cannot be wrapped by Neural Compressor: {in_one_line(error)}",
            "Give a path, a tf.Graph, a GraphDef or an onnx.ModelProto.",
        ) from error
    return GivenModel(name, model, inputs, outputs, str(conf.framework), wrapped, backend)


def _one_direction(criterion: Criterion) -> bool:
    directions = criterion.higher_is_better
    if isinstance(directions, bool):
        return directions
    raise SettingsError(
        f"higher_is_better is {directions!r}, and Neural Compressor takes one direction here.",
        "Let eval_fn return one number.",
    )


def _import_framework(path: Path) -> None:
    """Without its framework INC would only say that it does not know such a model."""
    if path.suffix == _ONNX:
        for module in ("onnx", "onnxruntime"):
            needed(module, "nc_sigopt_strategy[onnxruntime]", what="An ONNX model")
    elif path.is_dir() or path.suffix == _FROZEN:
        needed("tensorflow", "nc_sigopt_strategy[tensorflow]", what="A TensorFlow model")
