"""Ranges of tensors from their extremes and histograms.

A range is what 8 bits are spread over: values outside of it are cut off, and the wider it is, the
coarser are the steps inside. Min-max cuts nothing off; the others trade the one for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_MAX, PERCENTILE, ENTROPY, MSE = "minmax", "percentile", "entropy", "mse"
METHODS = (MIN_MAX, PERCENTILE, ENTROPY, MSE)
# Per cent of the values that stay inside.
_INSIDE = 99.99
_LEVELS = 256
# Candidate limits, as shares of the extremes; below a tenth no range of a network was ever best.
_SHARES = np.linspace(0.1, 1.0, 73)


@dataclass(frozen=True)
class TensorStatistics:
    """What calibration found of one tensor.

    Attributes:
        low: Smallest value.
        high: Largest value; not below ``low``.
        counts: Histogram over equally wide bins; empty where none was made.
        edges: Of the bins, one more than there are counts.
    """

    low: float
    high: float
    counts: Floats
    edges: Floats


def range_of(statistics: TensorStatistics, method: str) -> tuple[float, float]:
    """Limits that contain 0, within the extremes.

    Args:
        statistics: Of the tensor.
        method: One of ``METHODS``; without a histogram all are min-max.
    """
    low, high = min(statistics.low, 0.0), max(statistics.high, 0.0)
    filled = np.flatnonzero(statistics.counts)
    if method == MIN_MAX or len(filled) < 2:
        return low, high
    found = {PERCENTILE: _percentile, ENTROPY: _entropy, MSE: _mse}[method](statistics)
    return max(min(found[0], 0.0), low), min(max(found[1], 0.0), high)


def _percentile(statistics: TensorStatistics) -> tuple[float, float]:
    """Cut off the same share of the values at both ends.

    McKinstry et al., "Discovering Low-Precision Networks", 2019, section 3.
    """
    share = np.cumsum(statistics.counts) / statistics.counts.sum()
    outside = (1 - _INSIDE / 100) / 2
    first = int(np.searchsorted(share, outside, side="right"))
    last = int(np.searchsorted(share, 1 - outside, side="left"))
    last = min(max(last, first), len(statistics.counts) - 1)
    return float(statistics.edges[first]), float(statistics.edges[last + 1])


def _mse(statistics: TensorStatistics) -> tuple[float, float]:
    """The least mean squared error of rounding and cutting off.

    Nagel et al., "A White Paper on Neural Network Quantization", 2021, section 3.1. A value inside
    is rounded by a twelfth of a squared step on average, one outside is moved to the limit.
    """
    centres = (statistics.edges[:-1] + statistics.edges[1:]) / 2
    weights = statistics.counts / statistics.counts.sum()
    lows = _limits(statistics.low)
    highs = _limits(statistics.high)
    # What cutting off costs falls apart into the two ends; rounding depends on both.
    cut_low = np.array([_moved(centres, weights, limit, below=True) for limit in lows])
    cut_high = np.array([_moved(centres, weights, limit, below=False) for limit in highs])
    step = (highs[None, :] - lows[:, None]) / (_LEVELS - 1)
    error = cut_low[:, None] + cut_high[None, :] + step**2 / 12
    row, column = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(lows[row]), float(highs[column])


def _limits(extreme: float) -> Floats:
    """Candidates between 0 and an extreme; only 0 where all values lie on the other side."""
    return np.asarray(_SHARES * extreme, np.float64)


def _moved(centres: Floats, weights: Floats, limit: float, *, below: bool) -> float:
    over = np.maximum(limit - centres, 0.0) if below else np.maximum(centres - limit, 0.0)
    return float(weights @ over**2)


def _entropy(statistics: TensorStatistics) -> tuple[float, float]:
    """The least Kullback-Leibler divergence between values and rounded values.

    After Migacz, "8-bit Inference with TensorRT", 2017: both ends are cut at the same magnitude,
    what is outside counts for the outermost bin inside.
    """
    largest = max(abs(statistics.low), abs(statistics.high))
    best, found = np.inf, (statistics.low, statistics.high)
    for share in _SHARES:
        limit = share * largest
        low, high = max(statistics.low, -limit), min(statistics.high, limit)
        divergence = _divergence(statistics, low, high)
        if divergence <= best:
            best, found = divergence, (low, high)
    return found


def _divergence(statistics: TensorStatistics, low: float, high: float) -> float:
    counts, edges = statistics.counts, statistics.edges
    first = int(np.searchsorted(edges, low, side="right")) - 1
    last = int(np.searchsorted(edges, high, side="left"))
    first, last = max(first, 0), min(last, len(counts))
    inside = counts[first:last]
    # With about as many levels as bins, rounding would look free.
    if len(inside) < 2 * _LEVELS or not inside.any():
        return float(np.inf)
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    # Each level stands for a run of bins; the filled ones of a run share what is in it.
    level = np.arange(len(inside)) * _LEVELS // len(inside)
    filled = inside > 0
    held = np.bincount(level, weights=inside, minlength=_LEVELS)
    shared_by = np.bincount(level, weights=filled.astype(np.float64), minlength=_LEVELS)
    rounded = np.where(filled, (held / np.maximum(shared_by, 1.0))[level], 0.0)
    p, q = reference / reference.sum(), rounded / rounded.sum()
    there = p > 0
    # A bin that only holds what was cut off has nothing to stand for it.
    q = np.where(q > 0, q, 1e-6)
    return float(np.sum(p[there] * np.log(p[there] / q[there])))
