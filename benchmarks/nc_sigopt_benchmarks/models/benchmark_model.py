"""The model of a run, as all parts of the harness know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BenchmarkModel:
    """A model file that is there and can be read.

    Attributes:
        name: For tables and reports.
        source: ``assets``, ``keras``, ``digits`` or ``path``.
        description: One sentence on what the accuracy is an accuracy of.
        path: What is tuned: a frozen graph, or an ONNX model.
        inputs: Names of the input ops.
        outputs: Names of the output ops.
        data_folder: Where its images lie, for the source ``assets``.
        framework: ``tensorflow`` or ``onnxruntime``.
        format: ``frozen``, ``saved_model`` or ``onnx``: what the best model is returned as.
        preprocessing: Which one its images need; see ``preprocessing``.
        image_size: Side of its input images in pixels.
        label_offset: What is added to a class of the data to get the model's.
        classes: How many outputs it has; ``None`` where unknown.
    """

    name: str
    source: str
    description: str
    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    data_folder: Path | None = None
    framework: str = "tensorflow"
    format: str = "frozen"
    preprocessing: str = "tf"
    image_size: int = 224
    label_offset: int = 0
    classes: int | None = None
