"""The ONNX model as a user gave it, and the one that INC gets in its place.

INC's ``fit`` wraps a model before any strategy exists, and what it cannot wrap ends in "Framework
is not detected correctly". So the wrapping is where models are checked, and where INC is given one
that it can quantize. Only runs of the sigopt strategy come through here.

The user's own model stays what everything is judged by: its accuracy, its latency and its outputs.
INC rewrites the other one in place.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from neural_compressor.config import options
from neural_compressor.model.onnx_model import ONNXModel

from nc_sigopt_strategy.backends.onnx_checks import (
    refuse_quantized,
    refuse_unloadable,
    refuse_without_ops,
)
from nc_sigopt_strategy.backends.onnx_files import (
    fits_one_file,
    lacks_weights,
    load_weights,
    parsed,
    read_model,
    weights_are_in,
    write_model,
)
from nc_sigopt_strategy.backends.onnx_precision import in_float32, other_precisions
from nc_sigopt_strategy.backends.onnx_protos import nodes_below, real_inputs, type_name
from nc_sigopt_strategy.errors import ModelError

logger = logging.getLogger("nc_sigopt_strategy")

_ATTRIBUTE = "_nc_sigopt_given"
# What else a path may lead to: these are INC's TensorFlow formats.
_NOT_ONNX = (".pb", ".h5", ".keras", ".meta", ".ckpt", ".tflite")

_OF_TENSORFLOW = ("saved_model.pb", "checkpoint", "keras_metadata.pb")


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
    proto, path = _read(root)
    if proto is None:
        return root
    what = "The model" if path is None else repr(path)
    refuse_quantized(proto, what)
    users, prepared, notes = proto, _without_defaults(proto), []
    kinds = other_precisions(proto)
    types = " and ".join(map(type_name, kinds))
    if kinds:
        prepared = in_float32(prepared, kinds)
    try:
        refuse_unloadable(users, what)
    except ModelError:
        if not types:
            raise
        # bfloat16 has few kernels on a CPU; in float32 the model may run all the same.
        refuse_unloadable(prepared, what)
        users = onnx.ModelProto()
        users.CopyFrom(prepared)
        notes.append(
            f"{what} is in {types}, which cannot run here: it was converted to "
            "float32, which all results are compared with."
        )
    else:
        if types:
            notes.append(
                f"{what} is in {types}, and Neural Compressor quantizes float32: a copy in it is "
                "tuned, and recipe.json is for that copy. Accuracy, latency and output noise are "
                "compared with the model as it was given."
            )
    for note in notes:
        logger.info("%s", note)
    _give_each_gemm_its_own(prepared)
    given = GivenOnnxModel(_inc_model(users, path), tuple(notes))
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
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        if not transposed or shared not in constants or readers[shared] < 2:
            continue
        own = graph.initializer.add()
        own.CopyFrom(constants[shared])
        own.name = node.input[1] = f"{shared}_of_{node.name or position}"
        readers[shared] -= 1


def _read(root: Any) -> tuple[Any, str | None]:
    """The proto with its weights, and the path that it came from; ``None`` if it is not ONNX."""
    given_path: str | None = None
    if isinstance(root, str):
        if not _is_onnx_path(root):
            return None, None
        # Not resolved: a link to a model may stand beside links to its weights.
        file = Path(root).expanduser().absolute()
        return read_model(file), str(file)
    if isinstance(root, (bytes, bytearray, memoryview)):
        proto = parsed(bytes(root), "What was given")
    elif isinstance(root, ONNXModel):
        proto, given_path = root.model, root.model_path
    elif isinstance(root, onnx.ModelProto):
        proto = root
    else:
        return None, None
    path = None if given_path is None else Path(given_path).absolute()
    whole = onnx.ModelProto()
    # The user's own object stays as it is.
    whole.CopyFrom(proto)
    if lacks_weights(whole):
        # A runtime too looks in the current folder for what belongs to a model from memory.
        folder = path.parent if path is not None else Path.cwd()
        known = path is not None or weights_are_in(whole, folder)
        load_weights(whole, folder if known else None, "The model")
    return whole, None if path is None else str(path)


def _is_onnx_path(path: str) -> bool:
    """Whether a path leads to an ONNX model, or says that it does."""
    suffix = Path(path).suffix.lower()
    if suffix in (".onnx", ".ort"):
        return True
    file = Path(path).expanduser()
    models = sorted(found.name for found in file.glob("*.onnx")) if file.is_dir() else []
    if models and not any((file / name).exists() for name in _OF_TENSORFLOW):
        raise ModelError(
            f"{path!r} is a folder; the ONNX models in it are {', '.join(models)}.",
            "Give the path of one of them.",
        )
    if suffix in _NOT_ONNX or not file.is_file():
        return False
    with contextlib.suppress(ModelError):
        return bool(parsed(file.read_bytes(), path).ir_version)
    return False


def _without_defaults(proto: Any) -> Any:
    """A copy whose constants are no inputs, and whose standard opset is named first.

    INC takes the first entry for the opset (adaptor/onnxrt.py and quantizer.py, 2.6 and 3.7.1),
    and a constant that may be fed for an input.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    inputs = real_inputs(copy)
    optional = [i.name for i in copy.graph.input if i.name not in {g.name for g in inputs}]
    if optional and copy.ir_version >= 4:
        logger.info(
            "Inputs with a default, which quantized models hold as a constant: %s.",
            ", ".join(optional),
        )
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    opsets = sorted(copy.opset_import, key=lambda opset: opset.domain not in ("", "ai.onnx"))
    del copy.opset_import[:]
    copy.opset_import.extend(opsets)
    return copy


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
