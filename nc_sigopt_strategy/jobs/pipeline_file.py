"""A user's Python file with data, evaluation and perhaps the model, checked before it is used.

Neural Compressor's message for a mistake in it is often a bare AssertionError.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.errors import DataError, UsersCodeError
from nc_sigopt_strategy.measurement.per_input import heard
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetricsFunc
from nc_sigopt_strategy.tuning.failures import way_through_users_code

_EXAMPLE = (
    "The file must define calib_dataloader (an object with batch_size that yields (inputs, "
    "labels) each time it is iterated) and eval_func (gets the model, returns its accuracy)."
)

_MODEL_EXAMPLE = (
    "Where a Python file is tuned, its model is what the file calls model: a framework's own "
    "object, such as a torch.nn.Module, or the path of one."
)


@dataclass(frozen=True)
class Pipeline:
    """What ``fit`` needs besides the model.

    Attributes:
        calib_dataloader: Yields (inputs, labels), as often as it is iterated.
        eval_func: Gets the framework's model, returns its accuracy.
        batch: Inputs of the first calibration batch; latency is timed on them.
        batch_size: How many inputs that batch holds.
        stored_metrics_func: Gets the framework's model, returns further metrics of a trial by
            name; the user's, if there is one.
        confirm_func: Gets the framework's model, returns its accuracy on other data; the user's,
            if there is one.
        model: What the file calls ``model``, where that was asked for: a path, absolute, or a
            framework's own model object.
    """

    calib_dataloader: Any
    eval_func: Callable[[Any], Any]
    batch: Any
    batch_size: int
    stored_metrics_func: StoredMetricsFunc | None = None
    confirm_func: Callable[[Any], Any] | None = None
    model: Any = None


def read_pipeline(path: Path, *, named_by: str, with_model: bool = False) -> Pipeline:
    """What the file defines: ``calib_dataloader``, ``eval_func``, and perhaps further functions.

    Args:
        path: The file; it is run.
        named_by: The key or option that names it, for messages.
        with_model: Whether it is to define ``model``, too; otherwise that name is its own.

    Raises:
        DataError: It is missing, fails, or what it defines cannot be used.
    """
    module = _load_module(path, named_by)
    wanted = ("model",) if with_model else ()
    missing = [
        name for name in (*wanted, "calib_dataloader", "eval_func") if not hasattr(module, name)
    ]
    if missing:
        example = f"{_MODEL_EXAMPLE} {_EXAMPLE}" if "model" in missing else _EXAMPLE
        raise DataError(f"{path} does not define {' and '.join(missing)}.", example)
    loader, eval_func = module.calib_dataloader, module.eval_func
    if not callable(eval_func):
        raise DataError(f"eval_func in {path} is {eval_func!r}, not a function.", _EXAMPLE)
    if not hasattr(loader, "__iter__") or not hasattr(loader, "batch_size"):
        raise DataError(
            f"calib_dataloader in {path} is a {type(loader).__name__} without __iter__ or "
            "batch_size.",
            _EXAMPLE,
        )
    stored_metrics = getattr(module, "stored_metrics_func", None)
    if stored_metrics is not None and not callable(stored_metrics):
        raise DataError(
            f"stored_metrics_func in {path} is {stored_metrics!r}, not a function.",
            "It gets the model and returns metrics by name, such as {'f1': 0.8}; or leave it out.",
        )
    confirm = getattr(module, "confirm_func", None)
    if confirm is not None and not callable(confirm):
        raise DataError(
            f"confirm_func in {path} is {confirm!r}, not a function.",
            "It gets the model and returns its accuracy on other data; or leave it out.",
        )
    inputs = _first_inputs(loader, path)
    size = len(inputs) if hasattr(inputs, "__len__") and not isinstance(inputs, dict) else 1
    model = _found_beside(path, module.model) if with_model else None
    return Pipeline(loader, heard(eval_func), inputs, size, stored_metrics, confirm, model)


def check_runs(path: Path, batch: Any, open_session: Callable[[], ModelSession]) -> None:
    """Run the FP32 model on the first calibration batch.

    Args:
        path: Of the model, for messages.
        batch: Inputs, as the dataloader yields them.
        open_session: Opens the model.

    Raises:
        DataError: The model cannot take the batch.
        ModelError: The model cannot be opened.
    """
    session = open_session()
    try:
        session.run(batch)
    except Exception as error:  # ONNX Runtime has a class of its own for each way to fail
        shape = getattr(batch, "shape", None)
        shown = f" of shape {tuple(shape)}" if shape is not None else ""
        raise DataError(
            f"The model {path} cannot run on the first calibration batch{shown}: "
            f"{str(error).rstrip('.')}.",
            "Make calib_dataloader yield inputs of the shape and type that the model takes.",
        ) from error
    finally:
        session.close()


def _found_beside(path: Path, model: Any) -> Any:
    """A relative path is one from the file on, wherever the command runs."""
    if model is None:
        raise DataError(f"model in {path} is None.", _MODEL_EXAMPLE)
    if isinstance(model, (str, os.PathLike)):
        return path.parent / Path(model).expanduser()
    return model


def _first_inputs(loader: Any, path: Path) -> Any:
    try:
        first = list(islice(iter(loader), 1))
    except Exception as error:  # whatever the user's code raises is the user's to know
        raise _users_failure(
            f"calib_dataloader in {path} failed on its first batch", error
        ) from error
    if not first:
        raise DataError(f"calib_dataloader in {path} yields nothing.", _EXAMPLE)
    if not isinstance(first[0], (tuple, list)) or len(first[0]) != 2:
        raise DataError(
            f"calib_dataloader in {path} yields a {type(first[0]).__name__}, not a pair "
            "(inputs, labels).",
            _EXAMPLE,
        )
    # A generator, or an iterator that is its own: the second pass goes on where the first ended.
    if iter(loader) is iter(loader) or not list(islice(iter(loader), 1)):
        raise DataError(
            f"calib_dataloader in {path} can be iterated only once, but each trial calibrates.",
            "Let its __iter__ start afresh: write it as a class whose __iter__ is a generator.",
        )
    return first[0][0]


def _load_module(path: Path, named_by: str) -> Any:
    if not path.is_file():
        raise DataError(f"The pipeline file {path} does not exist.", f"Correct {named_by}.")
    spec = importlib.util.spec_from_file_location(f"nc_sigopt_pipeline_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DataError(f"The pipeline file {path} is not a Python file.", _EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises is the user's to know
        raise _users_failure(
            f"The pipeline file {path} failed while it was imported", error
        ) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _users_failure(what: str, error: Exception) -> UsersCodeError:
    return UsersCodeError(
        f"{what}: {type(error).__name__}: {str(error).rstrip('.')}.",
        traceback=way_through_users_code(error) or "",
    )
