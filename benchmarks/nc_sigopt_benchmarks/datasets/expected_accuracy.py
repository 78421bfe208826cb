"""Accuracies that are known beforehand: what differs much was fed wrongly."""

from __future__ import annotations

from nc_sigopt_benchmarks.benchmark_model import BenchmarkModel
from nc_sigopt_benchmarks.config import DataConfig

# MobileNet_v1 of the assets on the 400 evaluation images of seed 0. Its pixels scaled otherwise,
# or its labels shifted by one, it loses far more than a sample of 100 can by chance.
_ASSETS_ACCURACY, _ASSETS_LEAST, _ASSETS_IMAGES = 0.930, 0.88, 100


def known_accuracy_warning(
    model: BenchmarkModel, baseline_accuracy: float, images: int, data: DataConfig | None = None
) -> str | None:
    """A sentence when a model's FP32 accuracy is not what is known of its weights.

    Args:
        model: The model.
        baseline_accuracy: Its top-1 accuracy before quantization, 0 to 1.
        images: On how many images.
        data: Where they are from; nothing is known about others than the model's own.
    """
    data = data or DataConfig()
    own_images = data.python is None and data.source in ("auto", "assets")
    known = model.source == "assets" and model.name == "mobilenet_v1" and own_images
    if not known or images < _ASSETS_IMAGES or baseline_accuracy >= _ASSETS_LEAST:
        return None
    return (
        f"The FP32 accuracy of {model.name} is {baseline_accuracy:.3f} on {images} images of the "
        f"assets; it should be about {_ASSETS_ACCURACY:.3f}, so the images are probably "
        f"preprocessed wrongly (model.preprocessing is {model.preprocessing!r}, "
        f"model.label_offset {model.label_offset})."
    )
