"""Tuning on one half of the images, with real answers and recorded latencies."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.other_images.answers import AnswerBook, Right
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.measurement.paired import difference_stderr

TOLERABLE_LOSS = 0.01


@dataclass(frozen=True)
class Split:
    """Half of the images tune, the others judge.

    Attributes:
        seed: Draws the halves, calibration images apart.
        tuned_on: Positions of the images that trials see.
        judged_on: Positions of the others.
    """

    seed: int
    tuned_on: Choices
    judged_on: Choices

    @classmethod
    def of(cls, images: int, seed: int) -> Split:
        """Two halves of so many images."""
        order = np.random.default_rng(seed).permutation(images)
        return cls(seed, order[: images // 2], order[images // 2 :])


class HalfMeasuring(Measuring):
    """Trials of a recorded landscape whose accuracies are those of the real model.

    Args:
        landscape: Says latencies; its bound is that of the half.
        seed: Of the latencies' errors.
        book: Says what models answer.
        split: On which half they are evaluated.
    """

    def __init__(self, landscape: Landscape, seed: int, book: AnswerBook, split: Split) -> None:
        super().__init__(landscape, seed)
        self._book, self._half = book, split.tuned_on

    def trial(self, number: int, choice: Choices) -> Trial:
        """A trial with the real accuracy and output noise."""
        drawn = super().trial(number, choice)
        answers = self._book.of(list(self.landscape.assignments(choice).values()))
        accuracy = share_right(answers.right, self._half)
        here, fp32 = answers.right[self._half], self._book.fp32[self._half]
        look = dataclasses.replace(
            drawn.look,
            accuracy=accuracy,
            accuracy_stderr=difference_stderr(here.astype(float), fp32.astype(float)),
            turned=int((here != fp32).sum()),
            output_noise=answers.noise,
        )
        return Trial(number, choice, look, accuracy >= self.landscape.bound)


def landscape_on(landscape: Landscape, book: AnswerBook, split: Split) -> Landscape:
    """The landscape with the baseline and the bound that FP32 gives on the half."""
    baseline = share_right(book.fp32, split.tuned_on)
    bound = baseline * (1 - TOLERABLE_LOSS)
    return dataclasses.replace(landscape, baseline_accuracy=baseline, bound=bound)


def share_right(right: Right, images: Choices) -> float:
    """Accuracy on some of the images."""
    return float(right[images].mean())
