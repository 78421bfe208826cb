"""Models of several runtimes beside each other: the rows of their table, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nc_sigopt_benchmarks.config.rivals import RUNTIME_TITLES
from nc_sigopt_benchmarks.judging.timed_models import HeldOut, TimedModel
from nc_sigopt_strategy.results.interval import Interval


@dataclass(frozen=True)
class BatchTiming:
    """A model at one batch size, beside the reference in the same rounds.

    Attributes:
        batch_size: Inputs per inference.
        wall: Seconds of one inference, and its speed.
        cpu: CPU seconds of all threads of the model's process, and the ratio of the reference's
            to them.
    """

    batch_size: int
    wall: TimedModel
    cpu: TimedModel


@dataclass(frozen=True)
class RuntimeRow:
    """One model in one runtime, run in one way.

    Attributes:
        label: The run's, with what tells several rows of one run apart.
        run: Label of the run that it came from.
        runtime: ``tensorflow``, ``onnxruntime`` or ``openvino``.
        ours: Whether the sigopt strategy found it.
        fp32: Whether it is the FP32 model itself.
        what: What it is, in words.
        version: Of the runtime.
        precision: What its float ops run in, where the runtime tells.
        accuracy: On the images that evaluate.
        accuracy_interval: Its 95 % sampling interval, where the number of images is known.
        meets_bound: Whether it meets the bound, which is one for all rows.
        held_out: On images that no run saw.
        seconds: Wall time that its run took, evaluations of trials included.
        timings: One per batch size.
        deployed: How it is opened; see ``Deployed``.
        remarks: Sentences for which there is no column: why figures are missing, among others.
    """

    label: str
    run: str
    runtime: str
    ours: bool = False
    fp32: bool = False
    what: str = ""
    version: str = ""
    precision: str = ""
    accuracy: float | None = None
    accuracy_interval: Interval | None = None
    meets_bound: bool | None = None
    held_out: HeldOut | None = None
    seconds: float | None = None
    timings: tuple[BatchTiming, ...] = ()
    deployed: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its runtime, as people write it."""
        return RUNTIME_TITLES.get(self.runtime, self.runtime)

    def timing(self, batch_size: int) -> BatchTiming | None:
        """How fast it is at a batch size, if it was timed there."""
        return next((t for t in self.timings if t.batch_size == batch_size), None)


def batch_sizes(rows: tuple[RuntimeRow, ...]) -> list[int]:
    """The batch sizes that rows were timed at, in the order in which they were."""
    return list(dict.fromkeys(timing.batch_size for row in rows for timing in row.timings))
