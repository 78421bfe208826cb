"""Models judged image by image, beside FP32."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.accuracy_statistics import BoolArray, paired_bootstrap_drop
from nc_sigopt_benchmarks.config import CriterionConfig
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.model_files import OpenSession
from nc_sigopt_benchmarks.timing import FP32
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.reporting.comparison import HeldOut

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


def write_answers(answers: Mapping[str, BoolArray], folder: Path) -> Path:
    """Write each model's answers, image by image, into a run folder."""
    plain = {label: [int(value) for value in right] for label, right in answers.items()}
    return write_whole(folder / ANSWERS_FILE, json.dumps(plain) + "\n")


def read_answers(folder: Path) -> dict[str, BoolArray]:
    """The inverse of ``write_answers``.

    Raises:
        DataError: The folder has none.
    """
    path = folder / ANSWERS_FILE
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}.",
            "A comparison writes it when data.held_out_images is set.",
        ) from error
    return {label: np.asarray(right, bool) for label, right in raw.items()}
