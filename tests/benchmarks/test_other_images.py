"""Tuned on one half of the images, judged on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nc_sigopt_benchmarks.research.other_images.answers import AnswerBook, Right, read_book
from nc_sigopt_benchmarks.research.other_images.halves import HalfMeasuring, Split, landscape_on
from nc_sigopt_benchmarks.research.other_images.judging import (
    RULES,
    Rule,
    trials_on,
    winner_elsewhere,
)
from nc_sigopt_benchmarks.research.racing.run import play
from nc_sigopt_strategy.errors import DataError
from tests.benchmarks.race_landscapes import small_landscape

IMAGES = 400
LANDSCAPE = small_landscape()
FP32 = [values[-1] for values in LANDSCAPE.parameters.values()]
DEFAULT = list(LANDSCAPE.assignments(LANDSCAPE.default).values())


def right_but(*wrong: int) -> Right:
    found = np.ones(IMAGES, bool)
    found[list(wrong)] = False
    return found


def measure(labels: Sequence[str]) -> tuple[float, Right]:
    """Whatever is not FP32 has noise, and answers images wrong by how much."""
    differs = sum(label != other for label, other in zip(labels, FP32, strict=True))
    return 0.01 * differs, right_but(*range(10 * differs))


def test_a_book_measures_once_and_remembers(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    book = AnswerBook(path, measure, right_but())
    first = book.of(DEFAULT)
    assert book.of(DEFAULT) is first
    book.of(FP32)
    assert book.measured == 2
    book.close()
    with path.open("a") as stream:
        stream.write('\n{"labels": ["cut off')
    again = AnswerBook(path, measure, right_but())
    assert again.of(DEFAULT).right.tolist() == first.right.tolist()
    assert again.of(DEFAULT).noise == first.noise
    assert again.measured == 0
    assert again.labels() == [tuple(DEFAULT), tuple(FP32)]
    again.close()


def test_a_book_is_read_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(DataError, match="no answers of FP32"):
        read_book(path)
    book = AnswerBook(path, measure, right_but())
    book.of(["fp32"] * len(FP32))
    book.close()
    found = read_book(path)
    assert found.fp32.sum() == book.of(["fp32"] * len(FP32)).right.sum()
    with pytest.raises(DataError, match="no answers of int8"):
        found.of(["int8"] * len(FP32))


def test_halves_share_no_image() -> None:
    split = Split.of(IMAGES, 3)
    assert len(split.tuned_on) == len(split.judged_on) == IMAGES // 2
    assert not set(split.tuned_on) & set(split.judged_on)
    assert Split.of(IMAGES, 4).tuned_on.tolist() != split.tuned_on.tolist()


def test_trials_see_one_half_and_winners_are_judged_on_the_other(tmp_path: Path) -> None:
    """Default int8 is wrong on one image of the first half, and on 20 of the second."""
    split = Split.of(IMAGES, 0)

    def elsewhere(labels: Sequence[str]) -> tuple[float, Right]:
        differs = list(labels) != FP32
        wrong = [split.tuned_on[0], *split.judged_on[:20]] if differs else []
        return 0.01 * differs, right_but(*wrong)

    book = AnswerBook(tmp_path / "a.jsonl", elsewhere, right_but())
    fp32 = LANDSCAPE.positions(dict(zip(LANDSCAPE.parameters, FP32, strict=True)))
    trials = trials_on(LANDSCAPE, book, split, [LANDSCAPE.default, fp32])
    assert [trial.look.accuracy for trial in trials] == [0.995, 1.0]
    assert all(trial.meets_bound for trial in trials)
    lucky = winner_elsewhere(LANDSCAPE, book, split, trials, Rule(None, by_image=False))
    assert lucky is not None
    assert lucky.broken
    assert lucky.drop == pytest.approx(0.1)
    sure = winner_elsewhere(LANDSCAPE, book, split, trials, Rule(0.95, by_image=True))
    assert sure is not None
    assert not sure.broken
    assert sure.drop == 0.0
    book.close()


def test_the_sampler_plays_on_half_of_the_images(tmp_path: Path) -> None:
    book = AnswerBook(tmp_path / "a.jsonl", measure, right_but())
    split = Split.of(IMAGES, 1)
    here = landscape_on(LANDSCAPE, book, split)
    played = play(here, 1, "quantization", 8, HalfMeasuring(here, 1, book, split))
    assert played.error is None
    assert len(played.trials) == 8
    for trial in played.trials:
        right = book.of(list(LANDSCAPE.assignments(trial.choice).values())).right
        assert trial.look.accuracy == right[split.tuned_on].mean()
        assert trial.look.accuracy_stderr
    assert len({rule.name for rule in RULES}) == len(RULES)
    book.close()
