"""Intervals of accuracies: what they cover, and what they are at the ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from nc_sigopt_benchmarks.config.run_config import CriterionConfig
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.judging.accuracy_statistics import (
    paired_bootstrap_drop,
    sampling_interval,
)
from nc_sigopt_benchmarks.judging.image_by_image import Answers, image_numbers, judge
from nc_sigopt_strategy.errors import DataError


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share(counts: tuple[int, int]) -> None:
    right, total = counts
    interval = sampling_interval(right, total)
    assert 0 <= interval.low <= interval.value + 1e-12
    assert interval.value - 1e-12 <= interval.high <= 1
    assert interval.low < interval.high


def test_a_known_interval() -> None:
    # Computed by hand from Wilson's formula, 369 of 400.
    interval = sampling_interval(369, 400)
    assert (interval.low, interval.high) == pytest.approx((0.8921, 0.9449), abs=1e-4)


@pytest.mark.parametrize("share", [0.5, 0.93, 0.99])
def test_nineteen_of_twenty_intervals_hold_the_truth(share: float) -> None:
    counts = np.arange(401)
    intervals = [sampling_interval(int(right), 400) for right in counts]
    covers = [one.low <= share <= one.high for one in intervals]
    covered = float(binom.pmf(counts[covers], 400, share).sum())
    assert 0.93 < covered < 0.98


def test_the_drop_counts_images_that_differ() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = before.copy()
    after[:6] = False
    after[95] = True
    drop = paired_bootstrap_drop([before], [after])
    assert drop.value == pytest.approx(0.05)
    assert drop.low < 0.05 < drop.high
    same = paired_bootstrap_drop([before], [before])
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_drop_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    truth, covered = 0.02, 0
    for seed in range(400):
        before = rng.random(400) < 0.93
        change = rng.random(400)
        # 4 % of all images get worse and 2 % better.
        after = np.where(before, change >= 0.04 / 0.93, change < 0.02 / 0.07)
        drop = paired_bootstrap_drop([before], [after], resamples=1000, seed=seed)
        covered += drop.low <= truth <= drop.high
    assert 0.91 < covered / 400 < 0.98


def test_samples_are_pooled_by_their_images() -> None:
    first = np.ones(100, bool), np.zeros(100, bool)
    second = np.ones(300, bool), np.ones(300, bool)
    drop = paired_bootstrap_drop([first[0], second[0]], [first[1], second[1]])
    assert (drop.value, drop.low, drop.high) == (0.25, 0.25, 0.25)


def test_models_are_judged_beside_fp32() -> None:
    fp32 = np.array([True] * 93 + [False] * 7)
    worse = fp32.copy()
    worse[:20] = False
    judged = judge({"fp32": fp32, "same": fp32, "worse": worse}, CriterionConfig())
    assert sorted(judged) == ["same", "worse"]
    assert judged["same"].consistent
    assert judged["same"].allowed_drop == pytest.approx(0.0093)
    assert judged["worse"].accuracy == pytest.approx(0.73)
    assert not judged["worse"].consistent


def test_answers_are_kept_image_by_image(tmp_path: Path) -> None:
    right = {"fp32": np.array([True, False]), "sigopt": np.array([False, False])}
    Answers(np.array([7, 1 << 47]), right).write(tmp_path)
    read = Answers.read(tmp_path)
    assert read.images.tolist() == [7, 1 << 47]
    assert {label: row.tolist() for label, row in read.right.items()} == {
        "fp32": [True, False],
        "sigopt": [False, False],
    }
    with pytest.raises(DataError, match="held_out_images"):
        Answers.read(tmp_path / "elsewhere")


def test_images_are_known_by_their_pixels() -> None:
    pixels = np.random.default_rng(0).random((5, 4, 4, 3)).astype(np.float32)
    numbers = image_numbers(ImageSet(pixels, np.zeros(5, np.int64)))
    assert len(set(numbers.tolist())) == 5
    again = image_numbers(ImageSet(pixels[[3, 1]], np.ones(2, np.int64)))
    assert again.tolist() == numbers[[3, 1]].tolist()
