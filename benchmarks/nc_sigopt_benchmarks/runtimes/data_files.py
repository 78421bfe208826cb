"""The inputs of a comparison as files that a process in any environment can read."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.runtimes.opened import Opened
from nc_sigopt_strategy.measurement.batches import batch_length, first_inputs

CALIBRATION, EVALUATION, HELD_OUT = "calibration", "evaluation", "held_out"
BoolArray = npt.NDArray[np.bool_]
Scores = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def right_answers(
    scores: Scores, images: npt.NDArray[Any], labels: npt.NDArray[Any], batch_size: int
) -> BoolArray:
    """Whether the highest score of each image is that of its label, shape ``(images,)``.

    Args:
        scores: Gets a batch, returns shape ``(batch, classes)``.
        images: Shape ``(images, ...)``, as the model takes them.
        labels: Shape ``(images,)``, the model's own class numbers.
        batch_size: Images per run of the model.
    """
    starts = range(0, len(images), batch_size)
    guesses = [
        np.asarray(scores(np.asarray(images[start : start + batch_size]))).argmax(axis=1)
        for start in starts
    ]
    return np.asarray(np.concatenate(guesses) == np.asarray(labels), bool)


@dataclass(frozen=True)
class DataFiles:
    """Where the inputs lie.

    Attributes:
        folder: Has ``<part>.npy`` and ``<part>_labels.npy`` of the images that nc-sigopt loads;
            ``None`` for the user's own data.
        python: The user's file with ``calib_dataloader`` and ``eval_func``.
        batch_size: Images per run of a model in evaluation.
        calibration_size: How many inputs calibrate.
    """

    folder: Path | None
    python: Path | None
    batch_size: int
    calibration_size: int

    def write(self, part: str, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """Keep the images of a part."""
        if self.folder is not None:
            np.save(self.folder / f"{part}.npy", images)
            np.save(self.folder / f"{part}_labels.npy", labels)

    def has(self, part: str) -> bool:
        """Whether there are images of a part."""
        return self.folder is not None and (self.folder / f"{part}.npy").is_file()

    def right(self, opened: Opened, part: str) -> BoolArray:
        """Which images of a part a model is right on; see ``right_answers``."""
        images, labels = self._images(part)
        return right_answers(lambda batch: opened.run(batch)[0], images, labels, self.batch_size)

    def accuracy(self, opened: Opened) -> float:
        """What the evaluation says of a model: the share of right answers, or the user's figure.

        Raises:
            DataError: The user's file cannot be used.
        """
        if self.folder is None:
            return self.evaluated(opened.native)
        return float(self.right(opened, EVALUATION).mean())

    def evaluated(self, native: Any) -> float:
        """What the user's own evaluation returns for a runtime's model object.

        Raises:
            DataError: The user's file cannot be used.
        """
        return float(self._pipeline.eval_func(native))

    def calibration(self) -> Iterator[Any]:
        """Inputs to calibrate with, batch by batch."""
        left = self.calibration_size
        for inputs in self._batches():
            if left <= 0:
                return
            size = batch_length(inputs)
            yield inputs if size <= left else first_inputs(inputs, left)
            left -= size

    def single_inputs(self) -> Iterator[Any]:
        """The same, one input at a time, still with its batch axis."""
        for inputs in self.calibration():
            for position in range(batch_length(inputs)):
                yield _rows(inputs, slice(position, position + 1))

    def batch(self, size: int) -> Any:
        """The first inputs, over again where there are fewer than ``size``."""
        first = next(iter(self._batches()))
        return _rows(first, np.arange(size) % batch_length(first))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain: dict[str, Any] = dataclasses.asdict(self)
        for name in ("folder", "python"):
            plain[name] = None if plain[name] is None else str(plain[name])
        return plain

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> DataFiles:
        """The inverse of ``to_json``."""
        paths = {
            name: None if raw[name] is None else Path(raw[name]) for name in ("folder", "python")
        }
        return cls(**{**raw, **paths})

    def _images(self, part: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        folder = self.folder or Path()
        # Mapped, not read: several processes share one copy.
        images = np.load(folder / f"{part}.npy", mmap_mode="r")
        return images, np.load(folder / f"{part}_labels.npy")

    def _batches(self) -> Iterator[Any]:
        if self.folder is None:
            for inputs, _ in self._pipeline.calib_dataloader:
                yield inputs
            return
        images, _ = self._images(CALIBRATION)
        for start in range(0, len(images), self.batch_size):
            yield np.array(images[start : start + self.batch_size])

    @functools.cached_property
    def _pipeline(self) -> Any:
        from nc_sigopt_strategy.jobs.pipeline_file import read_pipeline

        return read_pipeline(self.python or Path(), named_by="data.python")


def _rows(batch: Any, rows: Any) -> Any:
    """Some inputs of a batch, in the same form."""
    if isinstance(batch, Mapping):
        return {name: _rows(value, rows) for name, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return [_rows(value, rows) for value in batch]
    return np.asarray(batch)[rows] if np.ndim(batch) else batch
