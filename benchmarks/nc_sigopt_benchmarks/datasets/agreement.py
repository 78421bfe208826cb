"""How far a model's answers agree with those of FP32: accuracy where data have no labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.hosts.predictor import predictor

Array = npt.NDArray[Any]
# What a batch's answers are compared in: one agreement, 0 to 1, for each input.
Compare = Callable[[Array, Array], Array]

# Above it a pixel counts as text, as RapidOCR has it.
_IS_TEXT = 0.3


class Agreement:
    """The mean agreement of a model's answers with the FP32 model's.

    FP32 runs once, in ONNX Runtime, at the first call: so it is FP32 as the user has it on every
    runtime, and the FP32 model of another runtime need not agree with it altogether.

    Args:
        fp32: File of the model.
        batches: Inputs, as the models take them.
        compare: Of a batch's first output.
    """

    def __init__(self, fp32: Path, batches: Sequence[Any], compare: Compare) -> None:
        self._fp32, self._batches, self._compare = fp32, batches, compare
        self._answers: list[Array] | None = None

    def __call__(self, model: Any) -> float:
        """0 to 1, of what a runtime runs: see ``nc_sigopt_strategy.predictor``."""
        if self._answers is None:
            self._answers = self._of(predictor(str(self._fp32)))
        found = self._of(predictor(model))
        pairs = zip(self._answers, found, strict=True)
        return float(np.concatenate([self._compare(*pair) for pair in pairs]).mean())

    def _of(self, run: Callable[[Any], list[Array]]) -> list[Array]:
        return [np.asarray(run(batch)[0]) for batch in self._batches]


def same_class(expected: Array, found: Array) -> Array:
    """1 where the highest of the scores (inputs, classes) is the same."""
    return np.asarray(expected.argmax(axis=1) == found.argmax(axis=1), np.float64)


def same_text(expected: Array, found: Array) -> Array:
    """1 where scores (inputs, places, characters) are read as the same text."""
    pairs = zip(read(expected), read(found), strict=True)
    return np.array([float(a == b) for a, b in pairs])


def same_mask(expected: Array, found: Array) -> Array:
    """Intersection over union of the pixels that are text, of maps (inputs, 1, height, width)."""
    first, second = expected > _IS_TEXT, found > _IS_TEXT
    axes = tuple(range(1, first.ndim))
    union = np.logical_or(first, second).sum(axis=axes)
    both = np.logical_and(first, second).sum(axis=axes)
    return np.asarray(np.where(union > 0, both / np.maximum(union, 1), 1.0), np.float64)


def cosine(expected: Array, found: Array) -> Array:
    """The cosine of the angle between vectors (inputs, width); -1 to 1, and 0 of no vector."""
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    products = (expected.astype(np.float64) * found).sum(axis=1)
    return np.asarray(np.clip(products / np.where(lengths > 0, lengths, 1.0), -1, 1), np.float64)


def read(scores: Array) -> list[tuple[int, ...]]:
    """The characters' numbers on each line: repeats are one, and 0 stands between characters.

    Greedy decoding of connectionist temporal classification (A. Graves et al., ICML 2006,
    section 3.2).
    """
    best = scores.argmax(axis=2)
    first = np.ones_like(best, bool)
    first[:, 1:] = best[:, 1:] != best[:, :-1]
    return [tuple(row[kept & (row != 0)]) for row, kept in zip(best, first, strict=True)]
