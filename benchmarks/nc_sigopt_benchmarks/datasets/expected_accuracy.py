"""Accuracies that are known beforehand: what differs much was fed wrongly."""

from __future__ import annotations

from nc_sigopt_benchmarks.config.run_config import DataConfig
from nc_sigopt_benchmarks.models.benchmark_model import BenchmarkModel

# MobileNet_v1 of the assets on all 500 images. Evaluated on some of them, its accuracy varies as
# that of a sample without replacement.
_ASSETS_ACCURACY, _ASSETS_IMAGES = 0.922, 500
_FEWEST = 100
# Chance goes beyond it in one split of 160. On the 400 images of seed 0 every mistake that was
# tried does, even the most harmless: pixels scaled to [0, 1] give 0.905 instead of 0.930.
_DEVIATIONS = 2.5


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
    if not known or images < _FEWEST or baseline_accuracy >= _least(images):
        return None
    return (
        f"The FP32 accuracy of {model.name} is {baseline_accuracy:.3f} on {images} images of the "
        f"assets; it should be about {_ASSETS_ACCURACY:.3f}, so the images are probably "
        f"preprocessed wrongly (model.preprocessing is {model.preprocessing!r}, "
        f"model.label_offset {model.label_offset})."
    )


def _least(images: int) -> float:
    """What chance makes of the known accuracy at worst, on so many of its images."""
    left_out = 1 - images / _ASSETS_IMAGES
    variance = _ASSETS_ACCURACY * (1 - _ASSETS_ACCURACY) / images * max(left_out, 0.0)
    return float(_ASSETS_ACCURACY - _DEVIATIONS * variance**0.5)
