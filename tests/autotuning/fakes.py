"""Hosts without a framework for the tests of ``autotune``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nc_sigopt_strategy.autotuning.direct import DirectRunner
from nc_sigopt_strategy.autotuning.request import Request, Share
from nc_sigopt_strategy.hosts.find import KnownHost
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_clock import FakeClock
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeBackend, FakeModel
from nc_sigopt_strategy.tuning.host import Baseline, Evaluation


class GivenFakeHost(FakeHost):
    """A ``FakeHost`` that calls the given evaluation, as hosts of a ``Given`` do.

    Args:
        given: Its model is how many times as fast as the others this one is.
        clock: That all hosts share.
        factor: What its accuracies are multiplied with.
    """

    def __init__(
        self, given: Given, clock: FakeClock, *, speed: float = 1.0, factor: float = 1.0
    ) -> None:
        super().__init__(ops=3)
        self._given = given
        self._factor = factor
        self.clock = clock
        self._latency = self._latency / speed
        self.backend = FakeBackend(clock)
        self.fp32 = self._model(("fp32",) * 3, 100)
        self.criterion = given.criterion.words()

    def baseline(self) -> Baseline:
        accuracy = self._given.eval_fn(self.fp32)
        self.clock.advance(1.0)
        reference = self._given.fp32_accuracy
        bound = self._given.criterion.bound(accuracy if reference is None else reference)
        return Baseline(bound, 1.0)

    def evaluate(self, model: FakeModel) -> Evaluation:
        super().evaluate(model)
        return Evaluation(self._given.eval_fn(model) * self._factor, 1.0)


def accuracy(model: FakeModel) -> float:
    """Falls with the noise; 0.9 of FP32."""
    return 0.9 * (1.0 - 0.2 * model.noise)


def known(name: str) -> KnownHost:
    return KnownHost(name, name.title(), (), (), name)


class FakeRunners:
    """Makes runners of fake hosts of different speeds.

    Args:
        speeds: Name to how fast, or to what making the host raises.
    """

    def __init__(self, speeds: Mapping[str, float | Exception]) -> None:
        self.clock = FakeClock()
        self.speeds = speeds
        self.hosts: dict[str, GivenFakeHost] = {}
        self.given: dict[str, Given] = {}

    def request(self, evaluate: Callable[[Any], Any] = accuracy, **more: Any) -> Request:
        share = Share(more.pop("max_trials", 20), more.pop("timeout", 0))
        given = Given(None, [(1, 2)], evaluate, Criterion(more.pop("loss", 0.05)))
        settings = {"latency_repeats": 4, "progress": False, "seed": 1, **more}
        return Request(given, settings, share, self.clock)

    def make(self, host: KnownHost, request: Request) -> DirectRunner:
        return DirectRunner(host.name, request, self._host)

    def _host(self, name: str, given: Given, settings: Settings) -> GivenFakeHost:
        speed = self.speeds[name]
        if isinstance(speed, Exception):
            raise speed
        self.given[name] = given
        self.hosts[name] = GivenFakeHost(given, self.clock, speed=speed)
        return self.hosts[name]
