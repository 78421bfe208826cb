"""From a picture of any size to what a model was trained on.

Sizes are the usual ones of ImageNet's evaluation: the shorter side becomes 256, then a centre of
224x224 is cut; other sizes in proportion. The first three normalizations are those of Keras's
``keras.applications.imagenet_utils.preprocess_input`` under the same names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.extras import needed
from nc_sigopt_strategy.errors import DataError

_SHORTER_SIDE, _CROP = 256, 224
# Blue, green, red: Caffe's models were trained on OpenCV's order.
_CAFFE_MEANS = np.array([103.939, 116.779, 123.68], np.float32)
_TORCH_MEANS = np.array([0.485, 0.456, 0.406], np.float32)
_TORCH_DEVIATIONS = np.array([0.229, 0.224, 0.225], np.float32)
_LITE_MEAN, _LITE_DEVIATION = 127.0, 128.0
PREPROCESSINGS = ("tf", "caffe", "torch", "lite")


def shorter_side(size: int) -> int:
    """The shorter side, in pixels, of a picture before its centre of ``size`` is cut."""
    return round(_SHORTER_SIDE * size / _CROP)


def centre(picture: Any, size: int) -> Any:
    """The square centre of a Pillow image, resized first (bilinear) if it needs to be.

    Args:
        picture: In any mode and of any size.
        size: Side in pixels of what is returned.
    """
    wanted = shorter_side(size)
    width, height = picture.size
    shorter = min(width, height)
    if shorter != wanted:
        width, height = (max(wanted, side * wanted // shorter) for side in (width, height))
        bilinear = needed("PIL.Image").Resampling.BILINEAR
        picture = picture.resize((width, height), bilinear)
    left, top = (width - size) // 2, (height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def normalized(picture: Any, preprocessing: str) -> npt.NDArray[np.float32]:
    """An RGB image as numbers, of shape (height, width, 3).

    Args:
        picture: A Pillow image in mode RGB.
        preprocessing: ``tf``: RGB in [-1, 1]; ``caffe``: BGR in 0 to 255 less ImageNet's mean
            colour; ``torch``: RGB in 0 to 1, less its mean colour, over its standard deviation;
            ``lite``: RGB in [-127/128, 1], as EfficientNet-Lite has it.

    Raises:
        DataError: The preprocessing is unknown.
    """
    pixels = np.asarray(picture, dtype=np.float32)
    if preprocessing == "tf":
        return pixels / 127.5 - 1.0
    if preprocessing == "caffe":
        return pixels[..., ::-1] - _CAFFE_MEANS
    if preprocessing == "torch":
        return (pixels / 255.0 - _TORCH_MEANS) / _TORCH_DEVIATIONS
    if preprocessing == "lite":
        return (pixels - _LITE_MEAN) / _LITE_DEVIATION
    raise DataError(
        f"The preprocessing {preprocessing!r} is unknown.",
        f"Set model.preprocessing to one of {', '.join(PREPROCESSINGS)}.",
    )
