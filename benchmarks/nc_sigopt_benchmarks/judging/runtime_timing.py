"""Timing models of several runtimes, each in a process of its own, in turn.

The rounds are those of ``timing``; wall and CPU seconds come from the process of each model, so
that what passes between the processes is in neither.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from nc_sigopt_benchmarks.judging.runtime_rows import BatchTiming
from nc_sigopt_benchmarks.judging.timing import FP32, Samples, timed_model
from nc_sigopt_benchmarks.runtimes.served_model import ServedModel
from nc_sigopt_strategy.errors import ModelError, in_one_line
from nc_sigopt_strategy.measurement.latency import WARMUP


@dataclass(frozen=True)
class RuntimeSamples:
    """Raw seconds of all models at one batch size.

    Attributes:
        batch_size: Inputs per inference.
        wall: Name of a model to wall seconds, one a round.
        cpu: The same in CPU seconds of its process.
        failures: Name of a model that cannot run this batch to the reason.
    """

    batch_size: int
    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]
    failures: dict[str, str] = field(default_factory=dict)

    def timing(self, name: str, reference: str) -> BatchTiming | None:
        """A model beside the reference; ``None`` if either was not timed."""
        if name not in self.wall or reference not in self.wall:
            return None
        wall, cpu = (
            timed_model(FP32 if name == reference else name, beside(samples, reference))
            for samples in (self.wall, self.cpu)
        )
        return BatchTiming(self.batch_size, wall, cpu)


def beside(samples: Samples, reference: str) -> Samples:
    """Samples in which the reference has the name that ``timing`` knows it by."""
    return {**samples, FP32: samples[reference]}


def time_served(
    models: Mapping[str, ServedModel], batch_size: int, *, rounds: int, seed: int
) -> RuntimeSamples:
    """Ask each model for one inference a round, in shuffled order.

    Args:
        models: By name.
        batch_size: Inputs per inference.
        rounds: Samples per model.
        seed: Of the order within a round.

    Raises:
        ModelError: A process ended in the middle of it.
    """
    failures: dict[str, str] = {}
    able: dict[str, ServedModel] = {}
    for name, model in models.items():
        try:
            for _ in range(WARMUP):
                model.seconds(batch_size)
            able[name] = model
        except ModelError as error:  # a model exported for another batch size, for one
            failures[name] = in_one_line(error)
    order = list(able)
    shuffle = random.Random(seed).shuffle
    wall: dict[str, list[float]] = {name: [] for name in able}
    cpu: dict[str, list[float]] = {name: [] for name in able}
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            seconds, of_cpu = able[name].seconds(batch_size)
            wall[name].append(seconds)
            cpu[name].append(of_cpu)
    return RuntimeSamples(batch_size, wall, cpu, failures)
