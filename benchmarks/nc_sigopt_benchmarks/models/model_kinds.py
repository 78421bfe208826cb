"""What the path of a model holds, and what a wrong path is told."""

from __future__ import annotations

import zipfile
from pathlib import Path

from nc_sigopt_strategy.errors import ModelError

FROZEN = "frozen"
SAVED_MODEL = "saved_model"
KERAS = "keras"
ONNX = "onnx"

_HDF5 = b"\x89HDF\r\n\x1a\n"
_WAY_OUT = (
    "Give a frozen TensorFlow graph (.pb), the folder of a SavedModel, a Keras file (.h5, .keras) "
    "or an ONNX model (.onnx)."
)
_CHECKPOINT_HINT = (
    "It has no graph: export a SavedModel with the code that made it, or give a frozen graph."
)


def kind_of(path: Path) -> str:
    """``frozen``, ``saved_model``, ``keras`` or ``onnx``, by content where that tells.

    Raises:
        ModelError: Nothing is there, it cannot be read, or it is of another kind.
    """
    if not path.exists():
        if list(path.parent.glob(f"{path.name}.index")):
            raise ModelError(f"The model {path} is a TensorFlow checkpoint.", _CHECKPOINT_HINT)
        raise ModelError(f"The model {path} does not exist.", "Correct the path of the model.")
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ModelError(
            f"The model {path} cannot be read: {error}.", "Correct the path or its permissions."
        ) from error
    if not start:
        raise ModelError(f"The model {path} is an empty file.", "Copy or download it again.")
    return _kind_of_file(path, start)


def _kind_of_folder(path: Path) -> str:
    if any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return SAVED_MODEL
    if (path / "checkpoint").is_file() or list(path.glob("*.index")):
        raise ModelError(f"The folder {path} holds a TensorFlow checkpoint.", _CHECKPOINT_HINT)
    inside = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
    raise ModelError(
        f"The model {path} is a folder without saved_model.pb: no SavedModel. It holds {inside}.",
        _WAY_OUT,
    )


def _kind_of_file(path: Path, start: bytes) -> str:
    if start == _HDF5:
        return KERAS
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "config.json" in names:
            return KERAS
        kind = "a PyTorch file" if any(n.endswith("data.pkl") for n in names) else "a zip archive"
        raise ModelError(f"The model {path} is {kind}, not one of a kind known here.", _WAY_OUT)
    if start[4:8] == b"TFL3":
        raise ModelError(f"The model {path} is a TensorFlow Lite model.", _WAY_OUT)
    if path.suffix == ".onnx":
        return ONNX
    if path.suffix in (".h5", ".hdf5", ".keras"):
        raise ModelError(
            f"The model {path} is called a Keras file, but holds something else.",
            "It is damaged or incomplete: copy or download it again.",
        )
    if path.suffix in (".index", ".meta", ".ckpt") or ".data-0" in path.name:
        raise ModelError(f"The model {path} is part of a TensorFlow checkpoint.", _CHECKPOINT_HINT)
    if path.name == "saved_model.pb":
        raise ModelError(
            f"The model {path} is the file inside of a SavedModel.",
            f"Give its folder: {path.parent}",
        )
    return FROZEN
