"""The ONNX model as a user gave it, and the one that INC gets in its place.

INC's ``fit`` wraps a model before any strategy exists, and what it cannot wrap ends in "Framework
is not detected correctly". So the wrapping is where models are checked, and where INC is given one
that it can quantize. Only runs of the sigopt strategy come through here.

The user's own model stays what everything is judged by: its accuracy, its latency and its outputs.
INC rewrites the other one in place.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from neural_compressor.config import options
from neural_compressor.model.onnx_model import ONNXModel

from nc_sigopt_strategy.backends.onnx_checks import refuse_without_ops
from nc_sigopt_strategy.backends.onnx_files import (
    fits_one_file,
    lacks_weights,
    load_weights,
    write_model,
)
from nc_sigopt_strategy.backends.onnx_protos import attribute_of, nodes_below
from nc_sigopt_strategy.backends.onnx_reading import read_given, whole, working_copy

_ATTRIBUTE = "_nc_sigopt_given"


@dataclass(frozen=True)
class GivenOnnxModel:
    """The user's own model.

    Attributes:
        model: INC's wrapper of it, which INC itself never gets to see.
        notes: What was changed in the model that INC gets, in sentences.
    """

    model: Any
    notes: tuple[str, ...] = ()

    def __deepcopy__(self, memo: object) -> None:
        """INC copies its model, which this hangs on, in every trial: a copy was not given."""

    def check_ops(self, quantizable: Collection[str]) -> None:
        """Refuse the model if it has no op of the types that INC can quantize.

        Raises:
            ModelError: It has none; the message says what it has instead.
        """
        refuse_without_ops(self.model.model, quantizable)

    def keep_weights(self, quantized: Any) -> None:
        """Read in what INC left in a file of a large model, since the next trial replaces it."""
        if quantized.model_path and lacks_weights(quantized.model):
            load_weights(quantized.model, Path(quantized.model_path).parent, "What INC made")


def given_model(wrapped: Any) -> GivenOnnxModel:
    """What the user gave, of INC's wrapper that was made of it; ask before INC works on it."""
    known = getattr(wrapped, _ATTRIBUTE, None)
    if isinstance(known, GivenOnnxModel):
        return known
    proto = onnx.ModelProto()
    proto.CopyFrom(wrapped.model)
    return GivenOnnxModel(_inc_model(proto, wrapped.model_path))


def for_inc(root: Any) -> Any:
    """What INC is to wrap: its own ONNX model object, or ``root`` if that is no ONNX model.

    Args:
        root: What the user gave ``fit``: path, ``ModelProto``, bytes or INC's ``ONNXModel``.

    Raises:
        ModelError: It cannot be tuned; the message says why and what to do.
    """
    if isinstance(root, os.PathLike):
        root = os.fspath(root)
    found = _read(root)
    if found is None:
        return root
    proto, path = found
    copy = working_copy(proto, path, "Neural Compressor")
    prepared = copy.working
    _give_each_gemm_its_own(prepared)
    given = GivenOnnxModel(_inc_model(copy.users, path), copy.notes)
    result = _inc_model(prepared, _file_for_inc(prepared))
    result._config = given.model.hf_config
    setattr(result, _ATTRIBUTE, given)
    return result


def without_shared_weights(replace_gemm: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """INC's rewrite of Gemm to MatMul, kept from what others read.

    It transposes the weight of a Gemm with ``transB`` in place (adaptor/onnxrt.py, INC 2.6 and
    3.7.1: "assume B is not used by any other node").
    """

    def replace(model: Any) -> Any:
        _give_each_gemm_its_own(model.model if isinstance(model, ONNXModel) else model)
        return replace_gemm(model)

    return replace


def _give_each_gemm_its_own(model: Any) -> None:
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, int] = {}
    for name in [
        *(name for node in nodes_below(graph.node) for name in node.input),
        *(made.name for made in graph.output),
    ]:
        readers[name] = readers.get(name, 0) + 1
    for position, node in enumerate(graph.node):
        if node.op_type != "Gemm" or len(node.input) < 2:
            continue
        shared = node.input[1]
        transposed = attribute_of(node, "transB", 0)
        if not transposed or shared not in constants or readers[shared] < 2:
            continue
        own = graph.initializer.add()
        own.CopyFrom(constants[shared])
        own.name = node.input[1] = f"{shared}_of_{node.name or position}"
        readers[shared] -= 1


def _read(root: Any) -> tuple[Any, str | None] | None:
    """The proto with its weights, and the path that it came from; ``None`` if it is not ONNX."""
    if not isinstance(root, ONNXModel):
        return read_given(root)
    path = None if root.model_path is None else Path(root.model_path).absolute()
    return whole(root.model, path), None if path is None else str(path)


def _file_for_inc(proto: Any) -> str | None:
    """Where INC reads the model from if one protobuf message cannot hold it."""
    if fits_one_file(proto):
        return None
    workspace = Path(options.workspace).absolute()
    workspace.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="given-", dir=workspace))
    return str(write_model(proto, folder / "model.onnx"))


def _inc_model(proto: Any, path: str | None) -> Any:
    model = ONNXModel(proto, ignore_warning=True)
    model.model_path = path
    if path is not None:
        with contextlib.suppress(Exception):  # a config.json of anybody else's
            model._config = _hugging_face_config(Path(path).parent)
    return model


def _hugging_face_config(folder: Path) -> Any:
    """What INC writes beside a model that it saves, where the user's model has one."""
    if not (folder / "config.json").is_file():
        return None
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(folder.as_posix())
