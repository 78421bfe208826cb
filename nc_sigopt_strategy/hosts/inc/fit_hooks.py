"""What INC's ``fit`` does before there is a strategy, for runs of ours.

``fit`` looks two names up in its own module each time it runs (quantization.py, INC 2.6 to 3.7.1):
``check_dataloader``, which wants a ``batch_size``, and then ``Model``, which wants a model of a
kind that INC knows and is the first that hears of the configuration. Standing in for the two
serves whoever imported ``fit`` earlier, too. Other strategies get INC's own answer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neural_compressor import quantization
from neural_compressor.config import options

from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.fed_loader import check_iterable
from nc_sigopt_strategy.hosts.inc.keras_models import exported, keep_export
from nc_sigopt_strategy.hosts.inc.model_name import keep_name

_MARK = "_nc_sigopt_strategy"


class _Unchecked(threading.local):
    """Loaders that ``fit`` has had checked, and no strategy is known yet."""

    def __init__(self) -> None:
        self.loaders: list[Any] = []


def hook_into_fit(chosen: Callable[[Any], bool]) -> None:
    """Put our functions in; calling it again changes nothing.

    Args:
        chosen: Whether a ``PostTrainingQuantConfig`` asks for our strategy.
    """
    if hasattr(quantization.Model, _MARK):
        return
    stock_check, stock_model = quantization.check_dataloader, quantization.Model
    unchecked = _Unchecked()

    def check_dataloader(dataloader: Any) -> bool:
        unchecked.loaders.append(dataloader)
        return True

    def model(root: Any, **kwargs: Any) -> Any:
        loaders, unchecked.loaders = unchecked.loaders, []
        if not chosen(kwargs.get("conf")):
            for loader in loaders:
                stock_check(loader)
            return stock_model(root, **kwargs)
        for loader in loaders:
            check_iterable(loader)
        with no_exit("wrapped the model"), absolute_workspace():
            given, root = root, _found(root)
            export = exported(root)
            root = _onnx_for_inc(root, kwargs.get("conf")) if export is None else export.path
            wrapped = stock_model(root, **kwargs)
            keep_name(wrapped, given)
            if export is not None:
                keep_export(wrapped, export)
            return wrapped

    setattr(model, _MARK, True)
    quantization.check_dataloader = check_dataloader
    quantization.Model = model


@contextlib.contextmanager
def no_exit(did: str) -> Iterator[None]:
    """Inside, an exit() of INC is an error like another.

    Args:
        did: What INC was doing, for the message.

    Raises:
        ModelError: It was called.
    """
    try:
        yield
    except SystemExit as error:
        raise ModelError(
            f"Neural Compressor ended the process, exit({error.code!r}), when it {did}.",
            "Its log says why.",
        ) from error


@contextlib.contextmanager
def absolute_workspace(folder: str | None = None) -> Iterator[None]:
    """Inside, INC's workspace is one folder, whoever changes the working folder.

    Args:
        folder: Which; ``None``: the one that it is now.
    """
    given = options.workspace
    options.workspace = os.path.abspath(given) if folder is None else folder
    try:
        yield
    finally:
        options.workspace = given


def _onnx_for_inc(root: Any, conf: Any) -> Any:
    """INC's own object of an ONNX model, checked and made fit to quantize; others as they are."""
    # TensorFlow's extra brings onnx alone, and then no model of it can run here anyway.
    if not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")):
        return root
    # Imported late: it needs both.
    from nc_sigopt_strategy.hosts.inc.onnx_given import for_inc

    given = for_inc(root)
    if given is not root and conf is not None:
        # INC asks an object of its own for the framework only where none is noted yet, and a
        # configuration may have served a model of another one.
        conf.framework = None
    return given


def _found(root: Any) -> Any:
    """The path of a model made absolute; INC knows text only, and reads it more than once."""
    if isinstance(root, (str, Path)) and Path(root).expanduser().exists():
        return str(Path(root).expanduser().absolute())
    return str(root) if isinstance(root, Path) else root
