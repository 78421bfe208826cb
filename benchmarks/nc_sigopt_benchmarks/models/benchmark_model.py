"""The model of a run, as all parts of the harness know it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Where the colours of an image are: behind its pixels (TensorFlow) or before them (PyTorch).
CHANNELS_LAST, CHANNELS_FIRST = "channels_last", "channels_first"
# What a model takes.
IMAGES, SENTENCES = "images", "sentences"
TEXT_LINES, TEXT_DIRECTIONS, TEXT_PAGES = "text_lines", "text_directions", "text_pages"


@dataclass(frozen=True)
class BenchmarkModel:
    """A model file that is there and can be read.

    Attributes:
        name: For tables and reports.
        source: ``assets``, ``keras``, ``digits``, ``package`` or ``path``.
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
        layout: ``channels_last`` or ``channels_first``, of its images.
        data: ``images`` with classes, or one of the kinds that are made here and have none:
            ``sentences``, ``text_lines``, ``text_directions``, ``text_pages``.
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
    layout: str = CHANNELS_LAST
    data: str = IMAGES
