"""Statistics of tensors, and the ranges that come of them."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import (
    ENTROPY,
    METHODS,
    MIN_MAX,
    MSE,
    PERCENTILE,
    TensorStatistics,
    range_of,
)
from nc_sigopt_strategy.hosts.onnxruntime.statistics import Seen, gather
from tests.hosts.onnxruntime.models import images, mobile_net


def seen(*batches: np.ndarray) -> TensorStatistics:
    collector = Seen()
    for batch in batches:
        collector.add(batch)
    found = collector.statistics()
    assert found is not None
    return found


def quantization_error(values: np.ndarray, limits: tuple[float, float]) -> float:
    low, high = limits
    step = (high - low) / 255
    rounded = np.clip(np.round((values - low) / step), 0, 255) * step + low
    return float(np.mean((values - rounded) ** 2))


def test_a_histogram_is_the_same_in_whatever_batches_the_values_come() -> None:
    values = np.random.default_rng(0).standard_t(3, 20_000).astype(np.float32)
    at_once = seen(values)
    # Growing ones widen the range again and again.
    growing = np.sort(np.abs(values))
    parts = [part * sign for part in np.array_split(growing, 50) for sign in (1, -1)]
    stepwise = seen(*parts)
    again = seen(np.concatenate(parts))
    assert at_once.counts.sum() == 20_000
    assert (stepwise.counts == again.counts).all()
    assert (stepwise.edges == again.edges).all()
    assert (at_once.low, at_once.high) == (float(values.min()), float(values.max()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [-5.0, 0.0, 0.5, 30.0])
def test_ranges_contain_zero_and_lie_within_the_extremes(method: str, shift: float) -> None:
    values = (np.random.default_rng(0).normal(size=50_000) + shift).astype(np.float32)
    statistics = seen(values)
    low, high = range_of(statistics, method)
    assert min(statistics.low, 0) <= low <= 0 <= high <= max(statistics.high, 0)
    assert high > low


def test_min_max_cuts_nothing_off_and_the_others_cut_a_stray_value() -> None:
    values = np.abs(np.random.default_rng(0).normal(size=100_000)).astype(np.float32)
    values[0] = 60.0
    statistics = seen(values)
    assert range_of(statistics, MIN_MAX) == (0.0, 60.0)
    for method in (PERCENTILE, ENTROPY):
        assert range_of(statistics, method)[1] < 10
    # One value moved by much costs as much as all values rounded a little coarser.
    assert 10 < range_of(statistics, MSE)[1] < 60


def test_mse_is_no_worse_than_any_other() -> None:
    values = np.random.default_rng(0).standard_t(3, 100_000).astype(np.float32)
    statistics = seen(values)
    errors = {
        method: quantization_error(values, range_of(statistics, method)) for method in METHODS
    }
    assert errors[MSE] <= 1.05 * min(errors.values())
    assert errors[MSE] < 0.9 * errors[MIN_MAX]


@pytest.mark.parametrize("method", METHODS)
def test_constant_and_tiny_tensors(method: str) -> None:
    for values in (np.zeros(9), np.full(9, 2.5), np.array([1e-30, 2e-30]), np.array([-3.0])):
        low, high = range_of(seen(values.astype(np.float32)), method)
        assert low <= 0 <= high


def test_what_is_not_finite_is_left_out() -> None:
    values = np.array([1, np.inf, -np.inf, np.nan, -2], np.float32)
    statistics = seen(values)
    assert (statistics.low, statistics.high) == (-2, 1)
    assert statistics.counts.sum() == 2
    collector = Seen()
    collector.add(np.array([np.inf], np.float32))
    assert collector.statistics() is None


def test_both_ways_to_gather_find_the_same_extremes() -> None:
    model, data = mobile_net(), images(16)
    feeds = [{"images": data[:8]}, {"images": data[8:]}]
    tensors = {"images": 1, **{node.output[0]: 1 for node in model.graph.node}}
    by_reduction = gather(model, tensors, feeds, histograms=False)
    by_values = gather(model, tensors, feeds, histograms=True)
    assert set(by_reduction) == set(tensors)
    for name, found in by_values.items():
        reduced = by_reduction[name]
        assert np.allclose((reduced.low, reduced.high), (found.low, found.high), rtol=1e-6)
        assert not len(reduced.counts)
        assert found.counts.sum() >= 16


def test_data_that_are_not_finite_are_refused() -> None:
    bad = images(8)
    bad[3, 0, 0, 0] = np.nan
    feeds = [{"images": images(8)}, {"images": bad}]
    with pytest.raises(DataError, match="batch 1 holds NaN"):
        gather(mobile_net(), {"images": 1}, feeds, histograms=False)
