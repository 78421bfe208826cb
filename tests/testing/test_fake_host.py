"""The fake host keeps to the contract too, and its optimum is one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nc_sigopt_strategy.space.ops import Choices
from nc_sigopt_strategy.testing.contract import HostContract
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning.budget import Budget


class TestFakeHost(HostContract):
    @pytest.fixture
    def host(self) -> FakeHost:
        return FakeHost(tolerable_loss=0.5)

    @contextlib.contextmanager
    def broken_quantization(self, host: Any) -> Iterator[None]:
        host.fail_next("quantize", ValueError("a node of a kind never seen"))
        yield

    def rebuilt(self, host: Any, recipe: Mapping[str, Any]) -> Any:
        labels = {op.key: recipe[op.name] for op in host.ops()}
        return FakeHost(tolerable_loss=0.5).quantize(Choices(labels, 100))

    def budget(self, host: Any, max_trials: int) -> Budget:
        return Budget(max_trials, 0, stop_at_first=False, clock=host.clock)


def test_the_optimum_is_the_fastest_that_meets_the_bound() -> None:
    host = FakeHost(ops=3, seed=5)
    best = host.optimum()
    assert host.bound.met(host.accuracy(best))
    int8 = host.quantize(Choices({op.key: "int8" for op in host.ops()}, 100))
    assert not host.bound.met(host.accuracy(int8))
    assert int8.latency_seconds < best.latency_seconds < host.fp32.latency_seconds
