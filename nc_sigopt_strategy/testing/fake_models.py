"""Models that are nothing but a latency and a noise, and the backend that runs them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.op_times import OpTimes
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.space.ops import OpKey
from nc_sigopt_strategy.testing.fake_clock import FakeClock

_OUTPUTS = 64
# What a disturbed run takes longer, on average, in units of its own latency.
_BURST = 2.0


@dataclass(frozen=True)
class FakeModel:
    """A model of a ``FakeHost``.

    Attributes:
        labels: Every op and how it runs.
        latency_seconds: Of one inference on any batch.
        noise: Of its outputs, as ``output_noise`` measures it.
        sampling_size: How many inputs calibrated it.
        op_seconds: What each op takes, in the order of ``labels``; empty for a model that no
            profiler can look into.
    """

    labels: tuple[tuple[OpKey, str], ...]
    latency_seconds: float
    noise: float
    sampling_size: int
    op_seconds: tuple[float, ...] = ()


class FakeSession:
    """Runs a model: the clock goes on by its latency, and the outputs are off by its noise.

    Args:
        model: What is run.
        clock: Goes on with each run.
        jitter: Relative standard deviation of a run's latency.
        bursts: Share of runs that other work makes longer, by twice their latency on average.
        seed: Of both.

    Attributes:
        model: As given.
    """

    def __init__(
        self, model: FakeModel, clock: FakeClock, jitter: float, bursts: float, seed: int
    ) -> None:
        self.model = model
        self._clock = clock
        self._jitter = jitter
        self._bursts = bursts
        self._rng = np.random.default_rng(seed)

    def run(self, inputs: Any) -> list[Array]:
        """Outputs of shape ``(64,)``: a signal of variance 1, off by the noise's power."""
        slower = math.exp(self._jitter * float(self._rng.normal()))
        if self._bursts and self._rng.random() < self._bursts:
            slower *= 1.0 + float(self._rng.exponential(_BURST))
        self._clock.advance(self.model.latency_seconds * slower)
        signal = np.tile([1.0, -1.0], _OUTPUTS // 2)
        return [signal + math.sqrt(self.model.noise)]

    def close(self) -> None:
        """Nothing to give back."""


class FakeBackend:
    """A ``Backend`` of ``FakeModel``.

    Args:
        clock: Goes on when models run.
        jitter: See ``FakeSession``.
        bursts: See ``FakeSession``.
    """

    name = "fake"
    model_suffix = ".json"
    native_float = "fp32"

    def __init__(self, clock: FakeClock, jitter: float = 0.0, bursts: float = 0.0) -> None:
        self._clock = clock
        self._jitter = jitter
        self._bursts = bursts
        self._opened = 0

    def open(self, model: FakeModel) -> FakeSession:
        """A session of its own."""
        self._opened += 1
        return FakeSession(model, self._clock, self._jitter, self._bursts, self._opened)

    def release(self, model: FakeModel) -> None:
        """A fake model holds no session."""

    def fingerprint(self, model: FakeModel) -> str:
        """A hash of the labels and the sampling size."""
        return hashlib.sha256(repr((model.labels, model.sampling_size)).encode()).hexdigest()

    def graph_order(self, model: FakeModel) -> Mapping[str, int]:
        """The ops are a chain."""
        return {key[0]: position for position, (key, _) in enumerate(model.labels)}

    def op_graph(self, model: FakeModel, ops: Sequence[OpKey]) -> dict[str, Any]:
        """A chain of ops of the same size."""
        size = 1000.0
        return {
            "ops": [
                {
                    "name": name,
                    "op_type": kind,
                    "multiply_adds": size,
                    "output_elements": size,
                    "weight_elements": size,
                }
                for name, kind in ops
            ],
            "edges": [[a[0], b[0], size] for a, b in itertools.pairwise(ops)],
        }

    def keep_choices(self, model: FakeModel) -> int:
        """Nobody changes a fake model."""
        return 0

    def ran_as(self, model: FakeModel, ops: Sequence[str]) -> dict[str, str]:
        """As chosen."""
        return {key[0]: label for key, label in model.labels if key[0] in ops}

    def op_times(self, model: FakeModel, inputs: Any, ops: Sequence[str]) -> OpTimes | None:
        """As the model says; the profiled run takes its latency."""
        if not model.op_seconds:
            return None
        self._clock.advance(model.latency_seconds)
        names = [key[0] for key, _ in model.labels]
        known = dict(zip(names, model.op_seconds, strict=True))
        return OpTimes({name: known[name] for name in ops}, sum(model.op_seconds))

    def deployment(self, model: FakeModel) -> dict[str, Any]:
        """Nothing is needed."""
        return {}

    def save(self, model: FakeModel, path: Path) -> Path:
        """Write the labels as JSON."""
        labels = [[*key, label] for key, label in model.labels]
        return write_whole(path, json.dumps(labels) + "\n")
