"""How sure an accuracy is that was counted on a sample of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.results.interval import Interval

_NORMAL_975 = 1.959964
BoolArray = npt.NDArray[np.bool_]


def sampling_interval(right: int, total: int) -> Interval:
    """Share of right answers with its 95 % interval.

    Wilson's (1927), which keeps its coverage near 1, where the usual one collapses (Brown, Cai and
    DasGupta, Statistical Science 16, 2001).

    Args:
        right: Images classified correctly, 0 to ``total``.
        total: Images, at least 1.
    """
    share, square = right / total, _NORMAL_975**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    spread = (share * (1 - share) + square / (4 * total)) / total
    half = _NORMAL_975 * spread**0.5 / (1 + square / total)
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def paired_bootstrap_drop(
    baseline_right: list[BoolArray],
    model_right: list[BoolArray],
    *,
    images: list[npt.NDArray[np.int64]] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """How much accuracy a model loses against the baseline, with a 95 % percentile interval.

    Images are resampled with both models' answers (Efron and Tibshirani, 1993, chapter 13), so
    that only images on which the two differ matter. With several samples each is resampled by
    itself, and the drops are averaged over all images. Samples that share images need ``images``:
    an image is then drawn with all its answers, which are no independent evidence.

    Args:
        baseline_right: For each sample, whether the baseline is right on each image.
        model_right: The same of the model, of the same shapes.
        images: For each sample, which image each answer is of, as numbers; ``None``: no image
            is in two samples.
        resamples: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Baseline minus model, as shares.
    """
    if images is not None:
        return _drop_by_image(baseline_right, model_right, images, resamples, seed)
    rng = np.random.default_rng(seed)
    total = sum(len(right) for right in baseline_right)
    lost, drop = np.zeros(resamples), 0
    for before, after in zip(baseline_right, model_right, strict=True):
        difference = before.astype(np.int64) - after.astype(np.int64)
        drop += int(difference.sum())
        # How often each of the three possible differences is drawn: a multinomial, no indices.
        shares = [float((difference == value).mean()) for value in (-1, 0, 1)]
        drawn = rng.multinomial(len(difference), shares, size=resamples)
        lost += drawn[:, 2] - drawn[:, 0]
    low, high = np.quantile(lost / total, [0.025, 0.975])
    return Interval(drop / total, float(low), float(high))


def _drop_by_image(
    baseline_right: list[BoolArray],
    model_right: list[BoolArray],
    images: list[npt.NDArray[np.int64]],
    resamples: int,
    seed: int,
) -> Interval:
    before, after = np.concatenate(baseline_right), np.concatenate(model_right)
    difference = before.astype(np.int64) - after.astype(np.int64)
    _, image = np.unique(np.concatenate(images), return_inverse=True)
    per_image = np.stack([np.bincount(image, difference), np.bincount(image)])
    # How often each kind of image is drawn: a multinomial over a few kinds, no indices.
    kinds, counts = np.unique(per_image, axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    lost, answered = (drawn @ kinds.T).T
    low, high = np.quantile(lost / answered, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))
