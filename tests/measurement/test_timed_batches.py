"""Batches of several sizes under weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.errors import DataError, SettingsError
from nc_sigopt_strategy.measurement.batches import batch_length
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.measurement.timed_batches import TimedBatches, batch_of
from nc_sigopt_strategy.results.outcome import BatchLatency, Outcome
from nc_sigopt_strategy.results.run_files import read_outcome, write_outcome
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_clock import FakeClock


class Session:
    """Takes a fixed time and one for each input."""

    def __init__(self, clock: FakeClock, fixed: float, each: float, most: int = 99) -> None:
        self.clock, self.fixed, self.each, self.most = clock, fixed, each, most

    def run(self, inputs: Any) -> list[Any]:
        if batch_length(inputs) > self.most:
            raise ValueError("too many")
        self.clock.advance(self.fixed + self.each * batch_length(inputs))
        return [np.zeros(1)]

    def close(self) -> None:
        pass


class Backend:
    def __init__(self, sessions: dict[str, Session]) -> None:
        self.sessions = sessions

    def open(self, model: str) -> Session:
        return self.sessions[model]


BATCH = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize("form", [lambda b: b, lambda b: {"x": b, "flag": 1}, lambda b: [b, b]])
def test_a_batch_of_any_size_in_its_own_form(form: Any) -> None:
    for size in (1, 4, 9):
        found = batch_of(form(BATCH), size)
        assert batch_length(found) == size
        assert type(found) is type(form(BATCH)) or isinstance(found, np.ndarray)
    repeated = batch_of(BATCH, 6)
    assert (repeated[4:] == BATCH[:2]).all()


def test_a_ratio_is_the_weighted_geometric_mean_of_the_ratios() -> None:
    clock = FakeClock()
    fast, slow = Session(clock, 0.001, 0.001), Session(clock, 0.004, 0.002)
    sizes = {1: 1, 20: 3}
    batches = TimedBatches([BATCH], sizes)
    assert batches.weights == {1: 0.25, 20: 0.75}
    assert batches.size is None
    ratio = batches.timed(slow, clock)() / batches.timed(fast, clock)()
    assert ratio == pytest.approx((6 / 2) ** 0.25 * (44 / 21) ** 0.75)


def test_one_size_is_as_it_was() -> None:
    assert TimedBatches([BATCH]).size == 4
    assert TimedBatches([BATCH], 3).size == 3
    assert TimedBatches([BATCH], 30).size == 4


def test_the_meter_reports_each_size() -> None:
    clock = FakeClock()
    backend = Backend({"fp32": Session(clock, 0.004, 0.002), "int8": Session(clock, 0.001, 0.001)})
    meter = Meter(
        backend,  # type: ignore[arg-type]
        [BATCH],
        "fp32",
        repeats=4,
        seed=0,
        latency_batch_size={1: 1, 20: 1},
        clock=clock,
    )
    meter.set_reference(None)
    expected = (6 / 2 * 44 / 21) ** 0.5
    assert meter.measure("int8").latency_ratio == pytest.approx(1 / expected)
    assert meter.batch_size is None
    one, twenty = meter.by_batch("int8")
    assert (one.batch_size, twenty.batch_size) == (1, 20)
    assert one.speedup.value == pytest.approx(3)
    assert twenty.speedup.value == pytest.approx(44 / 21)
    assert twenty.fp32_seconds == pytest.approx(0.044)


class FirstSizeSession(Session):
    """Slow on batches of another size than its first, as oneDNN's int8 kernels can be."""

    first: int | None = None

    def run(self, inputs: Any) -> list[Any]:
        self.first = self.first or batch_length(inputs)
        if batch_length(inputs) < self.first:
            self.clock.advance(0.4 * self.fixed)
        return super().run(inputs)


class FreshBackend:
    """Every ``open`` gives a session that has not run yet."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def open(self, model: str) -> Session:
        kind = Session if model == "fp32" else FirstSizeSession
        return kind(self.clock, 0.01 if model == "fp32" else 0.002, 0.0001)


@pytest.mark.parametrize("sizes", [1, {4: 1, 1: 1}])
def test_a_model_is_timed_before_it_runs_on_larger_batches(sizes: Any) -> None:
    clock = FakeClock()
    meter = Meter(
        FreshBackend(clock),  # type: ignore[arg-type]
        [BATCH],
        "fp32",
        repeats=4,
        seed=0,
        latency_batch_size=sizes,
        clock=clock,
    )
    meter.set_reference("int8")
    measured = meter.measure("int8")
    assert measured.latency_ratio == pytest.approx(1.0)
    if isinstance(sizes, int):
        assert measured.latency_seconds == pytest.approx(0.0021)


def test_a_size_that_the_model_does_not_take_is_said_first() -> None:
    clock = FakeClock()
    backend = Backend({"fp32": Session(clock, 0.001, 0.001, most=8)})
    with pytest.raises(
        DataError, match=r"does not take a batch of 20.*Correct latency_batch_size"
    ):
        Meter(
            backend,  # type: ignore[arg-type]
            [BATCH],
            "fp32",
            repeats=4,
            seed=0,
            latency_batch_size={1: 1, 20: 1},
            clock=clock,
        )


def test_an_outcome_keeps_it(tmp_path: Path) -> None:
    from nc_sigopt_strategy.results.interval import Interval

    latency = BatchLatency(20, 0.5, 0.01, 0.02, Interval(2.0, 1.9, 2.1))
    outcome = Outcome("sigopt", True, "done", by_batch=(latency,))
    write_outcome(outcome, tmp_path)
    assert read_outcome(tmp_path) == outcome


def test_the_setting_is_checked() -> None:
    def size(value: Any) -> Any:
        return Settings.from_kwargs({"latency_batch_size": value}).latency_batch_size

    assert size(3) == 3
    assert size({"20": 1, 1: 3}) == {1: 3.0, 20: 1.0}
    for wrong in ({}, {0: 1}, {1: 0}, {1: "x"}, {1.5: 1}, {1: float("nan")}, [1, 20], 0):
        with pytest.raises(SettingsError, match="latency_batch_size must"):
            size(wrong)
