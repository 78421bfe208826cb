"""The models that a comparison found, on images that no trial saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.datasets import load_splits
from nc_sigopt_benchmarks.judging.image_by_image import (
    Answers,
    image_numbers,
    judge,
    right_per_image,
)
from nc_sigopt_benchmarks.judging.timed_models import HeldOut
from nc_sigopt_benchmarks.judging.timing import FP32
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import OpenSession


def judge_held_out(
    config: RunConfig,
    model: BenchmarkModel,
    paths: Mapping[str, Path],
    open_session: OpenSession,
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, HeldOut]:
    """Judge models on the held-out images of a run configuration.

    Args:
        config: The run configuration.
        model: What was tuned.
        paths: Label of a run to the file of its model.
        open_session: Opens a model's file.
        folder: Run folder; gets each model's answers, image by image.
        tell: Gets a line about what goes on.
    """
    images = load_splits(config.data, model).held_out
    if images is None or not paths:
        return {}
    tell(f"Judging {len(paths) + 1} models on {len(images)} images that no trial saw.")
    answers = {
        label: right_per_image(path, open_session, images, config.data.batch_size)
        for label, path in {FP32: model.path, **paths}.items()
    }
    Answers(image_numbers(images), answers).write(folder)
    return judge(answers, config.accuracy_criterion)
