"""Who wins on one half of the images by each rule, and what the other half says of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape
from nc_sigopt_benchmarks.research.other_images.answers import AnswerBook
from nc_sigopt_benchmarks.research.other_images.halves import (
    TOLERABLE_LOSS,
    HalfMeasuring,
    Split,
    landscape_on,
    share_right,
)
from nc_sigopt_benchmarks.research.racing.records import trial_record
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_benchmarks.research.racing.winner import judged_on
from nc_sigopt_strategy.winners.bound_odds import may_win


@dataclass(frozen=True)
class Rule:
    """How a winner is picked.

    Attributes:
        confidence: ``bound_confidence``; ``None``: whatever met the bound.
        by_image: Whether images are known one by one, or accuracies only.
    """

    confidence: float | None
    by_image: bool

    @property
    def name(self) -> str:
        """For tables."""
        if self.confidence is None:
            return "met the bound"
        return f"{self.confidence:g}, {'image by image' if self.by_image else 'accuracies'}"


RULES = (
    Rule(None, False),
    *(Rule(c, by_image) for by_image in (False, True) for c in (0.5, 0.8, 0.95)),
)


@dataclass(frozen=True)
class OnOtherHalf:
    """What a rule's winner is on the images that no trial saw.

    Attributes:
        speedup: FP32's latency over its own, by the landscape.
        drop: FP32's accuracy there less its own.
        allowed: How much that may be.
    """

    speedup: float
    drop: float
    allowed: float

    @property
    def broken(self) -> bool:
        """Whether the bound is missed there; equality counts as met."""
        return self.drop > self.allowed + 1e-9


def trials_on(
    landscape: Landscape, book: AnswerBook, split: Split, choices: Sequence[Choices]
) -> list[Trial]:
    """Configurations as the trials of a run on the split's first half."""
    measuring = HalfMeasuring(landscape_on(landscape, book, split), split.seed, book, split)
    return [measuring.trial(number, choice) for number, choice in enumerate(choices, 1)]


def winner_elsewhere(
    landscape: Landscape, book: AnswerBook, split: Split, trials: Sequence[Trial], rule: Rule
) -> OnOtherHalf | None:
    """What the fastest of those that may win is on the other half; ``None`` if none may."""
    here = landscape_on(landscape, book, split)
    seen = [trial if rule.by_image else _accuracy_only(trial) for trial in trials]
    records = [trial_record(trial) for trial in seen]
    odds = {} if rule.confidence is None else judged_on(here)(seen)
    allowed = may_win(records, odds, rule.confidence or 0.5)
    if not allowed:
        return None
    choices = np.stack([trials[record.number - 1].choice for record in allowed])
    latencies = landscape.latency(choices)
    winner = choices[int(np.argmin(latencies))]
    fp32 = np.array([values.index("fp32") for values in landscape.parameters.values()])
    right = book.of(list(landscape.assignments(winner).values())).right
    baseline = share_right(book.fp32, split.judged_on)
    return OnOtherHalf(
        float(landscape.latency(fp32[None])[0] / latencies.min()),
        baseline - share_right(right, split.judged_on),
        TOLERABLE_LOSS * baseline,
    )


def _accuracy_only(trial: Trial) -> Trial:
    return dataclasses.replace(trial, look=dataclasses.replace(trial.look, accuracy_stderr=None))
