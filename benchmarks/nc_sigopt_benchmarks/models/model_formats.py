"""Models converted to the format that is tuned, once each: they are kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_benchmarks.models.digits import cache_folder, installed_version
from nc_sigopt_benchmarks.models.frozen_graphs import check_frozen_graph, sample_batch
from nc_sigopt_benchmarks.models.keras_graphs import to_onnx
from nc_sigopt_benchmarks.models.saved_models import FrozenModel, check_same, run_graph
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.files import write_whole

# Raised when a conversion here gives another result than before.
_CONVERSION = 1


def model_size_bytes(path: Path) -> int:
    """Bytes on disk of a model: of its file, or of all files in its folder.

    Raises:
        ModelError: Nothing is there.
    """
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if not path.exists():
        raise ModelError(f"The model {path} does not exist.")
    return path.stat().st_size


def cached_frozen(
    source: Path, freeze: Callable[[], FrozenModel], *, key: str = ""
) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    """The frozen graph made of a source, made first where the cache has none.

    Args:
        source: File or folder that it is made of; its content decides the name in the cache.
        freeze: Makes it.
        key: What decides the result besides the content.

    Returns:
        Path of the graph, names of its input ops and of its output ops.

    Raises:
        ModelError: The cache folder cannot be written, or what ``freeze`` raises.
    """
    versions = [installed_version("tensorflow-cpu", "tensorflow"), installed_version("keras")]
    mark = _mark(content_digest(source), key, *versions)
    return _cached(f"{source.stem}-frozen-{mark}", freeze)


def cached_download(
    name: str, freeze: Callable[[], FrozenModel]
) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    """As ``cached_frozen``, for weights that Keras keeps itself."""
    return _cached(f"{name}_keras_imagenet-{_mark(installed_version('keras'))}", freeze)


def cached_onnx(graph: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Path:
    """A frozen graph as an ONNX model of opset 13, converted first where the cache has none.

    Images stay in TensorFlow's order (batch, height, width, channels). Before it is kept, its
    outputs on a batch are compared with those of the graph.

    Raises:
        ModelError: It cannot be converted or computes something else, or the cache folder cannot
            be written.
    """
    mark = _mark(content_digest(graph), *inputs, "->", *outputs, installed_version("tf2onnx"))
    path = cache_folder() / f"{graph.stem}-{mark}.onnx"
    if path.is_file():
        return path
    graph_def = check_frozen_graph(graph, (*inputs, *outputs))
    try:
        serialized = to_onnx(graph_def, tuple(inputs), tuple(outputs))
    except Exception as error:  # tf2onnx raises whatever an op that it does not know leads to
        raise ModelError(
            f"tf2onnx cannot convert {graph}: {type(error).__name__}: {error}.",
            "Tune it in TensorFlow (model.format frozen), or give an .onnx file of your own.",
        ) from error
    frozen = FrozenModel(graph_def, tuple(inputs), tuple(outputs))
    batches = [sample_batch(graph_def, name) for name in inputs]
    found = _run_onnx(serialized, [f"{name}:0" for name in inputs], batches)
    check_same(run_graph(frozen, batches), found, graph, "the conversion to ONNX")
    _write(path, serialized)
    return path


def onnx_ends(
    path: Path,
) -> tuple[tuple[str, ...], tuple[str, ...], list[tuple[int | None, ...]]]:
    """Names of an ONNX model's inputs and outputs, and the shapes of inputs, then outputs.

    Raises:
        ModelError: The file is not an ONNX model.
    """
    onnx = needed("onnx")
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's DecodeError has moved between its versions
        raise _no_onnx(path, f": {str(error).rstrip('.')}") from error
    if not graph.node or not graph.output:
        raise _no_onnx(path, ": it has no ops")
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in constants]
    outputs = list(graph.output)
    shapes = [
        tuple(
            dim.dim_value if dim.HasField("dim_value") else None
            for dim in info.type.tensor_type.shape.dim
        )
        for info in (*inputs, *outputs)
    ]
    return tuple(i.name for i in inputs), tuple(o.name for o in outputs), shapes


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file != path:
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as opened:
            for block in iter(lambda: opened.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def _cached(
    stem: str, freeze: Callable[[], FrozenModel]
) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    path = cache_folder() / f"{stem}.pb"
    names = path.with_suffix(".json")
    # The graph is written last: where it is, its names are too.
    if not (path.is_file() and names.is_file()):
        frozen = freeze()
        _write(names, json.dumps({"inputs": frozen.inputs, "outputs": frozen.outputs}))
        _write(path, frozen.graph_def.SerializeToString())
    ends = json.loads(names.read_text(encoding="utf-8"))
    return path, tuple(ends["inputs"]), tuple(ends["outputs"])


def _write(path: Path, content: bytes | str) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise ModelError(
            f"The converted model cannot be written to {path}: {error}.",
            "Make that folder writable, or set XDG_CACHE_HOME to one that is.",
        ) from error


def _run_onnx(serialized: bytes, inputs: Sequence[str], batches: Sequence[Any]) -> list[Any]:
    session = needed("onnxruntime").InferenceSession(
        serialized, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(zip(inputs, batches, strict=True))))


def _no_onnx(path: Path, why: str) -> ModelError:
    return ModelError(
        f"The model {path} is not an ONNX model{why}.",
        "Check it with onnx.checker.check_model, or copy it again.",
    )


def _mark(*facts: str) -> str:
    return hashlib.sha256("\n".join((*facts, str(_CONVERSION))).encode()).hexdigest()[:12]
