"""Calibration data and evaluation of the text and sentence models that packages ship.

Their data are made here, and the metric is agreement with FP32: so a run needs no labels, and its
accuracy of FP32 is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.config.run_config import DataConfig
from nc_sigopt_benchmarks.datasets import agreement
from nc_sigopt_benchmarks.datasets.rendered_text import (
    DIRECTION_WIDTH,
    LINE_WIDTH,
    line_image,
    page_image,
    turned,
)
from nc_sigopt_benchmarks.datasets.sentences import sentences
from nc_sigopt_benchmarks.datasets.splitting import split_disjoint
from nc_sigopt_benchmarks.datasets.word_pieces import WordPieces
from nc_sigopt_benchmarks.models.benchmark_model import (
    SENTENCES,
    TEXT_DIRECTIONS,
    TEXT_LINES,
    TEXT_PAGES,
    BenchmarkModel,
)
from nc_sigopt_benchmarks.models.packaged_models import vocabulary_file
from nc_sigopt_strategy.errors import DataError

# Longer sentences are cut: so the encoder was trained.
LONGEST_SENTENCE = 128
_COMPARED = {
    TEXT_LINES: agreement.same_text,
    TEXT_DIRECTIONS: agreement.same_class,
    TEXT_PAGES: agreement.same_mask,
    SENTENCES: agreement.cosine,
}
_SAID = {
    TEXT_LINES: "lines of text, rendered",
    TEXT_DIRECTIONS: "lines of text, rendered, half of them upside down",
    TEXT_PAGES: "pages of text, rendered",
    SENTENCES: "sentences",
}


class Batches:
    """Pairs of a batch and its labels, from the start each time; the labels are all 0.

    Args:
        batches: The inputs.
        batch_size: How many are in each but the last.
    """

    def __init__(self, batches: Sequence[Any], batch_size: int) -> None:
        self._batches, self.batch_size = batches, batch_size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for batch in self._batches:
            yield batch, np.zeros(inputs_in(batch), np.int64)

    def __len__(self) -> int:
        return len(self._batches)


@dataclass(frozen=True)
class PackagedData:
    """What a run needs besides the model.

    Attributes:
        calib_dataloader: Yields (inputs, labels).
        eval_func: Gets a model of any runtime, returns its agreement with FP32.
        description: One sentence on the data.
    """

    calib_dataloader: Batches
    eval_func: agreement.Agreement
    description: str


def packaged_data(model: BenchmarkModel, config: DataConfig) -> PackagedData:
    """The data of a model that has no labelled images.

    Args:
        model: Says which kind of data it takes.
        config: Counts, batch size and seed.

    Raises:
        DataError: Something else is asked for, or more than there is.
    """
    if config.source != "auto" or config.held_out_images:
        key = "source" if config.source != "auto" else "held_out_images"
        raise DataError(
            f"data.{key} is {getattr(config, key)!r}, but the data of {model.name} are made here: "
            f"{_SAID[model.data]}.",
            f"Leave data.{key} out.",
        )
    texts = sentences()
    calibration, evaluation, _ = split_disjoint(
        len(texts),
        config.calibration_images,
        config.evaluation_images,
        0,
        config.seed,
        "the standard library's docstrings",
    )
    batch = _batch_maker(model, texts)
    parts = [
        [batch(part[i : i + config.batch_size]) for i in range(0, len(part), config.batch_size)]
        for part in (calibration, evaluation)
    ]
    count = len(calibration) + len(evaluation)
    return PackagedData(
        Batches(parts[0], config.batch_size),
        agreement.Agreement(model.path, parts[1], _COMPARED[model.data]),
        f"The inputs are {count:,} {_SAID[model.data]}, from docstrings of Python's standard "
        f"library, drawn by seed {config.seed}.",
    )


def inputs_in(batch: Any) -> int:
    """How many inputs a batch holds: one array, or several by name."""
    return len(next(iter(batch.values()))) if isinstance(batch, dict) else len(batch)


def _batch_maker(model: BenchmarkModel, texts: Sequence[str]) -> Callable[[Any], Any]:
    if model.data == SENTENCES:
        pieces = WordPieces(vocabulary_file())
        return lambda positions: pieces.batch([texts[i] for i in positions], LONGEST_SENTENCE)
    draw = _DRAWN[model.data]
    return lambda positions: np.stack([draw(texts, int(i)) for i in positions])


# Each input has its own generator: it is the same whatever else is drawn.
def _line(texts: Sequence[str], position: int, width: int = LINE_WIDTH) -> Any:
    return line_image(texts[position].split(), width, np.random.default_rng(position))


def _direction(texts: Sequence[str], position: int) -> Any:
    line = _line(texts, position, DIRECTION_WIDTH)
    return turned(line) if position % 2 else line


def _page(texts: Sequence[str], position: int) -> Any:
    rng = np.random.default_rng(position)
    chosen = [texts[position], *(texts[int(i)] for i in rng.integers(len(texts), size=20))]
    return page_image(chosen, rng)


_DRAWN: dict[str, Callable[[Sequence[str], int], Any]] = {
    TEXT_LINES: _line,
    TEXT_DIRECTIONS: _direction,
    TEXT_PAGES: _page,
}
