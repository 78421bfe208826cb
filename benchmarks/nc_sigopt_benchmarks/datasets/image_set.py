"""Images as arrays that a model takes, and a loader for calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ImageSet:
    """Images ready for the model.

    Attributes:
        images: float32 of shape (count, height, width, 3), or with the colours first where the
            model has them first, in the range of the model's preprocessing.
        labels: int64 of shape (count,): the model's own class numbers.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, count: int) -> ImageSet:
        """The first ``count`` of them."""
        return ImageSet(self.images[:count], self.labels[:count])


class CalibrationLoader:
    """What Neural Compressor calibrates with: batches of (images, labels), as often as asked.

    Has what "mse_v2" wants of a loader besides: it builds one of the same type over
    ``dataset.take(n)`` from the loader's own attributes.

    Args:
        dataset: The images, in the order in which they come.
        batch_size: Images per batch; the last batch may be smaller.
        inc_arguments: The other arguments of Neural Compressor's own loaders; without effect.
    """

    last_batch = "rollover"
    collate_fn = sampler = batch_sampler = None
    num_workers = 0
    pin_memory = shuffle = distributed = False

    def __init__(self, dataset: ImageSet, batch_size: int, **inc_arguments: object) -> None:
        self.dataset = dataset
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        for start in range(0, len(self.dataset), self.batch_size):
            stop = start + self.batch_size
            yield self.dataset.images[start:stop], self.dataset.labels[start:stop]

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)
