"""Latency ratios, output noise, the accuracy bound and calibration batches."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import DataError, TrialError
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.batches import (
    batch_length,
    first_inputs,
    read_calibration_data,
)
from nc_sigopt_strategy.measurement.latency import paired_ratio, time_calls, time_side_by_side
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.measurement.output_noise import output_noise
from tests.conftest import Loader


def test_paired_ratio_cancels_drift_and_ignores_outliers() -> None:
    rng = np.random.default_rng(0)
    drift = np.linspace(1.0, 3.0, 20)  # the machine becomes three times slower
    reference = drift * (1 + 0.01 * rng.normal(size=20))
    samples = 2.0 * drift * (1 + 0.01 * rng.normal(size=20))
    samples[[3, 11]] *= 10  # interrupted by another process
    estimate = paired_ratio(samples, reference)
    assert estimate.low < 2.0 < estimate.high
    assert estimate.ratio == pytest.approx(2.0, rel=0.02)
    assert estimate.stderr < 0.02


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        estimate = paired_ratio(np.exp(0.05 * rng.normal(size=12)), np.ones(12))
        hits += estimate.low <= 1.0 <= estimate.high
    assert 0.91 <= hits / 400 <= 0.99


def test_samples_are_interleaved_and_paired() -> None:
    order: list[str] = []

    class Session:
        def __init__(self, name: str) -> None:
            self.name = name

        def run(self, inputs: Any) -> list[Any]:
            order.append(self.name)
            return []

        def close(self) -> None: ...

    samples = time_side_by_side({n: Session(n) for n in "ab"}, None, rounds=6, warmup=2)
    assert {name: len(values) for name, values in samples.items()} == {"a": 6, "b": 6}
    rounds = order[4:]
    assert all({rounds[i], rounds[i + 1]} == {"a", "b"} for i in range(0, 12, 2))
    assert rounds != ["a", "b"] * 6, "the order within rounds is shuffled"


def test_a_deadline_still_leaves_enough_rounds_for_an_interval() -> None:
    samples = time_calls({"a": lambda: 1.0, "b": lambda: 2.0}, rounds=30, deadline=0.0)
    assert len(samples["a"]) == len(samples["b"]) == 8


def test_output_noise_is_additive_and_scale_free() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(200, 50)).astype(np.float32)
    one, two = 0.1 * rng.normal(size=clean.shape), 0.2 * rng.normal(size=clean.shape)
    a, b = (output_noise([clean + e], [clean]) for e in (one, two))
    both = output_noise([clean + one + two], [clean])
    assert a is not None
    assert b is not None
    assert both == pytest.approx(a + b, rel=0.05)
    assert output_noise([7 * (clean + one)], [7 * clean]) == pytest.approx(a, rel=1e-3)
    assert output_noise([clean], [clean]) == 0.0


def test_output_noise_without_float_outputs() -> None:
    labels = np.array([1, 2, 3])
    assert output_noise([labels], [labels]) is None
    constant = np.ones((3, 2), np.float32)
    assert output_noise([constant], [constant]) is None


BOUNDS = [
    # baseline, relative, loss, higher, weights, target, meets, misses
    (0.93, True, 0.01, True, None, 0.9207, 0.93 * (1 - 0.01), 0.9206),
    (0.93, False, 0.01, True, None, 0.92, 0.93 - 0.01, 0.9199),
    (0.10, True, 0.05, False, None, 0.105, 0.10 * 1.05, 0.1051),
    (2.0, False, 0.5, False, None, 2.5, 2.5, 2.51),
    ([0.8, 0.6], True, 0.1, True, [0.5, 0.5], 0.315, [0.8, 0.46], [0.8, 0.45]),
    ([0.8, 0.2], True, 0.1, [True, False], None, 0.0, [0.8 * 0.9, 0.2 * 1.1], [0.8 * 0.9, 0.2201]),
]


@pytest.mark.parametrize(
    ("baseline", "relative", "loss", "higher", "weights", "target", "meets", "misses"), BOUNDS
)
def test_accuracy_bound(
    baseline: Any, relative: bool, loss: float, higher: Any, weights: Any, target: float,
    meets: Any, misses: Any,
) -> None:  # fmt: skip
    bound = AccuracyBound.of(
        baseline, relative=relative, tolerable_loss=loss, higher_is_better=higher, weights=weights
    )
    assert bound.target == pytest.approx(target)
    assert bound.met(bound.scalar(meets)), "equality counts as met"
    assert not bound.met(bound.scalar(misses))
    assert bound.met(bound.baseline_scalar)
    assert bound.shortfall(bound.scalar(misses)) > 0


def test_bound_agrees_with_incs_objective() -> None:
    """The same target, to the last bit, as INC's own objective computes."""
    from neural_compressor.objective import MultiObjective

    rng = np.random.default_rng(0)
    for _ in range(200):
        baseline, loss = float(rng.uniform(0.1, 1)), float(rng.uniform(0.001, 0.1))
        relative, higher = bool(rng.integers(2)), bool(rng.integers(2))
        criterion = {"relative" if relative else "absolute": loss, "higher_is_better": higher}
        objective = MultiObjective(["performance"], criterion)
        objective.baseline = (baseline, [1.0])
        bound = AccuracyBound.of(
            baseline, relative=relative, tolerable_loss=loss, higher_is_better=higher
        )
        assert bound.target == objective._get_accuracy_target()[0]


@pytest.mark.parametrize("value", ["0.9", None, math.nan, math.inf, [], [0.9, "x"], {"a": 1}])
def test_nonsense_accuracy(value: Any) -> None:
    with pytest.raises(TrialError, match="evaluation returned"):
        AccuracyBound.of(value, relative=True, tolerable_loss=0.1, higher_is_better=True)


def test_numpy_scalars_are_numbers() -> None:
    bound = AccuracyBound.of(
        np.float32(0.5), relative=True, tolerable_loss=0.1, higher_is_better=True
    )
    assert bound.baseline == (0.5,)


def test_batches_until_enough_inputs() -> None:
    data = np.arange(120, dtype=np.float32).reshape(120, 1)
    read = read_calibration_data(Loader(data, data, 16), 100)
    assert [len(batch) for batch in read.batches] == [16, 16, 16, 16]
    assert batch_length({"a": data}) == 120
    assert len(first_inputs([data, data], 3)[1]) == 3
    assert len(first_inputs({"a": data}, 3)["a"]) == 3


def test_digest_is_of_all_batches_that_calibrate() -> None:
    data = np.zeros((120, 1), np.float32)
    before = read_calibration_data(Loader(data, data, 16), 100).digest
    assert read_calibration_data(Loader(data, data, 16), 100).digest == before
    data[99] = 1
    changed = read_calibration_data(Loader(data, data, 16), 100).digest
    assert changed != before
    data[119] = 1
    assert read_calibration_data(Loader(data, data, 16), 100).digest == changed
    assert read_calibration_data(None, 100).digest is None


def test_digest_is_of_batches_beyond_the_sampling_size_where_inc_reads_them() -> None:
    data = np.zeros((400, 1), np.float32)
    loader = Loader(data, data, 16)
    before = read_calibration_data(loader, 100).digest
    # It says that a batch is half of what it is: INC reads twice as many inputs.
    loader.inputs = data.copy()
    loader.inputs[150] = 1
    assert read_calibration_data(loader, 100).digest == before
    halved = LyingLoader(data, data, 16)
    before = read_calibration_data(halved, 100).digest
    halved.inputs = loader.inputs
    assert read_calibration_data(halved, 100).digest != before


class LyingLoader(Loader):
    """Yields batches of twice the size that it names."""

    def __iter__(self) -> Any:
        for start in range(0, len(self.inputs), 2 * self.batch_size):
            stop = start + 2 * self.batch_size
            yield self.inputs[start:stop], self.labels[start:stop]


def test_bad_batch_behind_those_that_are_kept() -> None:
    data = np.zeros((120, 1), np.float32)
    data[90] = np.nan
    with pytest.raises(DataError, match="batch 5 holds NaN"):
        read_calibration_data(Loader(data, data, 16), 100)


class OneArray(Loader):
    """Fills one array again and again."""

    def __iter__(self) -> Any:
        array = np.empty((self.batch_size, 1), np.float32)
        for start in range(0, len(self.inputs), self.batch_size):
            array[:] = self.inputs[start : start + self.batch_size]
            yield array, None


def test_batches_of_a_loader_that_fills_one_array_stay_apart() -> None:
    data = np.arange(64, dtype=np.float32).reshape(64, 1)
    read = read_calibration_data(OneArray(data, data, 16), 64)
    np.testing.assert_array_equal(np.concatenate(read.batches), data)


class Endless:
    """Yields empty batches for ever; a few of them between others are no matter."""

    def __init__(self, inputs: int = 0) -> None:
        self.inputs = inputs

    def __iter__(self) -> Any:
        for index in itertools.count():
            yield np.zeros((self.inputs if index % 3 == 2 else 0, 1), np.float32), None


def test_a_loader_that_never_yields_an_input_is_refused() -> None:
    with pytest.raises(DataError, match="1000 batches in a row"):
        read_calibration_data(Endless(), 100)
    assert len(read_calibration_data(Endless(8), 100).batches) > 7


def test_noise_is_measured_only_where_outputs_vary() -> None:
    for inputs, measured in ((np.ones((4, 2), np.float32), False), (np.eye(4), True),
                             (np.arange(4), False)):  # fmt: skip
        meter = Meter(Echoes(), [inputs], None, repeats=1, seed=0)  # type: ignore[arg-type]
        assert meter.measures_noise is measured


class Echoes:
    """A backend whose models give what they get."""

    def open(self, model: Any) -> Any:
        return self

    def run(self, inputs: Any) -> list[Any]:
        return [inputs]

    def close(self) -> None:
        pass


def test_fewer_inputs_than_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    data = np.zeros((10, 1), np.float32)
    read_calibration_data(Loader(data, data, 4), 100)
    assert "10 inputs, fewer than the calibration_sampling_size of 100" in caplog.text


def test_batches_must_be_pairs() -> None:
    with pytest.raises(DataError, match="not a pair"):
        read_calibration_data([np.zeros((2, 3))], 2)


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan, "fast", None, True])
def test_latency_func_that_returns_nonsense(seconds: Any) -> None:
    class Model:
        model = None

    meter = Meter(
        backend=None,  # type: ignore[arg-type]  # without batches nothing is opened
        batches=[],
        fp32_model=Model(),
        repeats=2,
        seed=0,
        latency_func=lambda model: seconds,
    )
    with pytest.raises(TrialError, match="latency_func returned"):
        meter.measure(Model())
