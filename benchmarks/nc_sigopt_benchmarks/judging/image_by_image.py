"""Models judged image by image, beside FP32."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.config.run_config import CriterionConfig
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.judging.accuracy_statistics import BoolArray, paired_bootstrap_drop
from nc_sigopt_benchmarks.judging.timed_models import HeldOut
from nc_sigopt_benchmarks.judging.timing import FP32
from nc_sigopt_benchmarks.models.model_files import OpenSession
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.files import write_whole

ANSWERS_FILE = "held_out.json"


def right_per_image(
    path: Path, open_session: OpenSession, images: ImageSet, batch_size: int
) -> BoolArray:
    """Whether a model's highest output is each image's label; shape ``(images,)``.

    Raises:
        ModelError: The model cannot be loaded.
    """
    session = open_session(path)
    try:
        guesses = [
            session.run(images.images[start : start + batch_size])[0].argmax(axis=1)
            for start in range(0, len(images), batch_size)
        ]
    finally:
        session.close()
    return np.asarray(np.concatenate(guesses) == images.labels, bool)


def judge(answers: Mapping[str, BoolArray], criterion: CriterionConfig) -> dict[str, HeldOut]:
    """What the answers of models come to, against those of ``fp32`` among them.

    Args:
        answers: Label to ``right_per_image``.
        criterion: Says which loss is allowed.
    """
    fp32 = answers[FP32]
    baseline = float(fp32.mean())
    return {
        label: HeldOut(
            images=len(right),
            accuracy=float(right.mean()),
            baseline_accuracy=baseline,
            drop=paired_bootstrap_drop([fp32], [right]),
            allowed_drop=baseline - criterion.target(baseline),
        )
        for label, right in answers.items()
        if label != FP32
    }


@dataclass(frozen=True)
class Answers:
    """Who was right on which held-out image.

    Attributes:
        images: A number per image that depends on its pixels alone, shape ``(images,)``: tells
            which images two splits of the same data share.
        right: Label to ``right_per_image``; ``fp32`` is among them.
    """

    images: npt.NDArray[np.int64]
    right: Mapping[str, BoolArray]

    def write(self, folder: Path) -> Path:
        """Write them into a run folder, image by image."""
        plain = {
            "images": self.images.tolist(),
            "right": {label: right.astype(int).tolist() for label, right in self.right.items()},
        }
        return write_whole(folder / ANSWERS_FILE, json.dumps(plain) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Answers:
        """The inverse of ``write``.

        Raises:
            DataError: The folder has none.
        """
        path = folder / ANSWERS_FILE
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            right = {label: np.asarray(row, bool) for label, row in raw["right"].items()}
            return cls(np.asarray(raw["images"], np.int64), right)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{path} cannot be read: {error!r}.",
                "A comparison writes it when data.held_out_images is set.",
            ) from error


def image_numbers(images: ImageSet) -> npt.NDArray[np.int64]:
    """A number per image, from its pixels; see ``Answers``."""
    digests = (hashlib.sha256(image.tobytes()).digest() for image in images.images)
    # Six bytes: exact in JSON, and two of a million images share one in one case of 500.
    return np.array([int.from_bytes(digest[:6], "big") for digest in digests], np.int64)
