"""ONNX models in files: weights beside the model, and models that are too large for one file."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from nc_sigopt_strategy.backends.onnx_protos import tensors_of
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.files import staged, write_whole

# Protobuf writes no message of 2 GiB or more; the rest of a model is small beside its weights.
LARGEST_MESSAGE = 2**31 - 1
_ROOM_FOR_THE_GRAPH = 2**24
_KEPT_INSIDE = 1024
_PAGE = 4096


def read_model(path: Path) -> Any:
    """The model of a file, with the weights that lie beside it.

    Raises:
        ModelError: There is no file, it holds no ONNX model, or weights are missing.
    """
    if not path.is_file():
        raise ModelError(
            f"There is no model file {str(path)!r}.", f"The current folder is {os.getcwd()!r}."
        )
    model = parsed(path.read_bytes(), repr(str(path)))
    load_weights(model, path.parent, repr(str(path)))
    return model


def parsed(content: bytes, what: str) -> Any:
    """The model that was serialized.

    Args:
        content: A serialized ``ModelProto``.
        what: Whose bytes they are, for the message.

    Raises:
        ModelError: They are no ONNX model.
    """
    model = onnx.ModelProto()
    hint = "Give an .onnx file, whole: a download or a Git LFS pointer may stand in its place."
    if content[4:8] == b"ORTM":
        hint = (
            "It is in ONNX Runtime's own .ort format, which cannot be quantized: give the .onnx."
        )
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise ModelError(
            f"{what} ({len(content)} bytes) is not an ONNX model: it cannot be parsed.", hint
        ) from None
    if not model.graph.node and not model.graph.output:
        raise ModelError(f"{what} ({len(content)} bytes) is not an ONNX model: no graph.", hint)
    return model


def lacks_weights(model: Any) -> bool:
    """Whether weights of the model are in files that have not been read."""
    return any(uses_external_data(tensor) for tensor in tensors_of(model))


def weights_are_in(model: Any, folder: Path) -> bool:
    """Whether every file that the model's weights are in is there."""
    outside = [tensor for tensor in tensors_of(model) if uses_external_data(tensor)]
    return all((folder / _entry(tensor, "location")).is_file() for tensor in outside)


def load_weights(model: Any, folder: Path | None, what: str) -> None:
    """Put the weights that are in files of a folder into the model.

    Args:
        model: A ``ModelProto``; changed in place.
        folder: Where the model's own file is; ``None`` if nobody said.
        what: The model, for the message.

    Raises:
        ModelError: The folder is not known, or a file is missing, too short or outside of it.
    """
    outside = [tensor for tensor in tensors_of(model) if uses_external_data(tensor)]
    if not outside:
        return
    names = sorted({_entry(tensor, "location") for tensor in outside})
    files = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    if folder is None:
        raise ModelError(
            f"{what} comes without its weights: {len(outside)} of its tensors are in {files}, and "
            "a loaded model does not say in which folder.",
            "Give the model's path instead, or load it whole: onnx.load(path).",
        )
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(
                f"{what} has weights in {name!r}, which is not beside it.",
                "Save the model anew (onnx.save with save_as_external_data), as a runtime will "
                "refuse it too.",
            )
        if not (folder / name).is_file():
            raise ModelError(
                f"{what} has weights in {name!r}, and there is no such file in {str(folder)!r}.",
                "Put the file beside the model, under the name that it had at the export.",
            )
    for tensor in outside:
        tensor.raw_data = _content(tensor, folder, what)
        # As if they had never been outside, so that it is the same model to a fingerprint.
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def fits_one_file(model: Any) -> bool:
    """Whether protobuf can write the model as one message."""
    weights = sum(_size(tensor) for tensor in tensors_of(model))
    return weights <= LARGEST_MESSAGE - _ROOM_FOR_THE_GRAPH


def write_model(model: Any, path: Path) -> Path:
    """Write a model so that it loads by itself: in one file, or with its weights beside it.

    Args:
        model: A ``ModelProto`` with its weights; not changed.
        path: Of the model; weights go to ``<name>_data`` beside it if one file cannot hold all.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    beside = path.with_name(f"{path.name}_data")
    if fits_one_file(model):
        write_whole(path, model.SerializeToString())
        beside.unlink(missing_ok=True)
        return path
    with staged(beside, path) as (weights, document):
        with weights.open("wb") as file:
            skeleton = _with_weights_in(model, file, beside.name)
        document.write_bytes(skeleton.SerializeToString())
    return path


@contextlib.contextmanager
def loadable(model: Any) -> Iterator[bytes | str]:
    """What a session loads a model from: its bytes, or the path of a file, deleted at the end."""
    if fits_one_file(model):
        yield model.SerializeToString()
        return
    folder = Path(tempfile.mkdtemp(prefix="nc-sigopt-"))
    try:
        yield str(write_model(model, folder / "model.onnx"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def digest_of_model(model: Any) -> str:
    """A hash that two models share exactly when their graphs and weights are the same."""
    if fits_one_file(model):
        return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    digest = hashlib.sha256(_copy(model, "graph").SerializeToString(deterministic=True))
    digest.update(_copy(model.graph, "initializer").SerializeToString(deterministic=True))
    for tensor in model.graph.initializer:
        digest.update(tensor.SerializeToString(deterministic=True))
    return digest.hexdigest()


def _with_weights_in(model: Any, file: Any, location: str) -> Any:
    """The model without its large weights, which are written to ``file``."""
    skeleton = _copy(model, "graph")
    skeleton.graph.CopyFrom(_copy(model.graph, "initializer"))
    for tensor in model.graph.initializer:
        if _size(tensor) < _KEPT_INSIDE or tensor.data_type == onnx.TensorProto.STRING:
            skeleton.graph.initializer.add().CopyFrom(tensor)
            continue
        content = tensor.raw_data or onnx.numpy_helper.to_array(tensor).tobytes()
        # Whole pages, so that a runtime may map the file instead of reading it.
        offset = -(-file.tell() // _PAGE) * _PAGE
        file.seek(offset)
        file.write(content)
        placed = skeleton.graph.initializer.add()
        placed.name, placed.data_type = tensor.name, tensor.data_type
        placed.dims.extend(tensor.dims)
        placed.data_location = onnx.TensorProto.EXTERNAL
        for key, value in ("location", location), ("offset", offset), ("length", len(content)):
            placed.external_data.add(key=key, value=str(value))
    return skeleton


def _copy(message: Any, left_out: str) -> Any:
    """A copy of a message without one field, so that what is in it need not fit twice."""
    copy = type(message)()
    for field, value in message.ListFields():
        if field.name == left_out:
            continue
        if hasattr(value, "extend"):
            getattr(copy, field.name).extend(value)
        elif field.message_type is not None:
            getattr(copy, field.name).CopyFrom(value)
        else:
            setattr(copy, field.name, value)
    return copy


def _entry(tensor: Any, key: str) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")


def _content(tensor: Any, folder: Path, what: str) -> bytes:
    """A tensor's bytes in its file.

    Not read by onnx: it reads a file that is too short as fewer values without a word, and its
    newer versions refuse links, which is what Hugging Face's cache holds.
    """
    name = _entry(tensor, "location")
    begin, length = int(_entry(tensor, "offset") or 0), int(_entry(tensor, "length") or -1)
    with (folder / name).open("rb") as file:
        file.seek(begin)
        content = file.read(length)
    wanted = length if length >= 0 else (1 if math.prod(tensor.dims) else 0)
    if len(content) < wanted:
        size = (folder / name).stat().st_size
        raise ModelError(
            f"{what} has the weights {tensor.name!r} at bytes {begin} to {begin + wanted} of "
            f"{name!r}, and that file has {size} bytes.",
            "The file is incomplete or belongs to another model: copy or export both again.",
        )
    return content


def _size(tensor: Any) -> int:
    return len(tensor.raw_data) if tensor.HasField("raw_data") else int(tensor.ByteSize())
