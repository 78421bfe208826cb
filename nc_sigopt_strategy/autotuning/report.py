"""What is said of the runtimes that a model was tuned on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from nc_sigopt_strategy.autotuning.every_runtime import Everywhere
from nc_sigopt_strategy.autotuning.side_by_side import Candidate
from nc_sigopt_strategy.results.interval import Interval


@dataclass(frozen=True)
class RuntimeRow:
    """A model of one runtime beside the others.

    Attributes:
        runtime: Name of its host.
        is_fp32: Whether it is that runtime's FP32 model, or else what was found.
        accuracy: ``None`` if nobody knows.
        meets_bound: Whether it may be deployed.
        speedup: The latency of the first runtime's FP32 model over its own, timed in turn.
        trials: How many models were tried on this runtime.
        is_fastest: Whether it is the one that is returned.
        failure: Why there is no model, if there is none.
    """

    runtime: str
    is_fp32: bool
    accuracy: float | None = None
    meets_bound: bool = False
    speedup: Interval | None = None
    trials: int = 0
    is_fastest: bool = False
    failure: str = ""

    def in_words(self) -> str:
        """One line."""
        if self.failure:
            return f"{self.runtime}: failed: {self.failure}"
        what = "FP32" if self.is_fp32 else f"tuned in {self.trials} trials"
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.4f}"
        met = "meets the bound" if self.meets_bound else "misses the bound"
        speed = ""
        if self.speedup is not None:
            s = self.speedup
            speed = f", {s.value:.2f} ({s.low:.2f} to {s.high:.2f}) times as fast"
        mark = " <- the fastest that meets the bound" if self.is_fastest else ""
        return f"{self.runtime}: {what}{accuracy}, {met}{speed}{mark}"


def rows_of(found: Everywhere) -> tuple[RuntimeRow, ...]:
    """A row for each model that was timed, and for each runtime that failed."""
    rows = []
    timing = found.timing
    if timing is not None:
        for candidate, speedup in zip(timing.candidates, timing.speedups, strict=True):
            rows.append(
                RuntimeRow(
                    candidate.run.host,
                    candidate.is_fp32,
                    candidate.accuracy,
                    candidate.meets_bound,
                    None
                    if speedup is None
                    else Interval(speedup.ratio, speedup.low, speedup.high),
                    candidate.run.outcome.trials,
                    candidate is timing.fastest,
                )
            )
    rows.extend(RuntimeRow(name, False, failure=why) for name, why in found.failures.items())
    return tuple(rows)


def verdict_of(found: Everywhere) -> list[str]:
    """Which runtime to take, in sentences."""
    timing = found.timing
    if timing is None or timing.fastest is None:
        return ["No runtime has a model that meets the bound.", *found.notes]
    fastest = next(row for row in rows_of(found) if row.is_fastest)
    what = "FP32" if fastest.is_fp32 else "what was found"
    sentences = [f"The fastest that meets the bound: {what} on {fastest.runtime}"]
    if fastest.speedup is not None and len(found.runs) > 1:
        reference = next(iter(found.runs))
        sentences[0] += f", {fastest.speedup.value:.2f} times as fast as FP32 on {reference}"
    sentences[0] += "."
    tied = sorted({_named(timing.candidates[position]) for position in timing.tied})
    if tied:
        sentences.append(f"It could not be told from {' and '.join(tied)} by its speed.")
    return [*sentences, *found.notes]


def as_json(rows: Sequence[RuntimeRow]) -> list[dict[str, object]]:
    """Rows as JSON-safe data."""
    return [dataclasses.asdict(row) for row in rows]


def _named(candidate: Candidate) -> str:
    return f"{'FP32' if candidate.is_fp32 else 'what was found'} on {candidate.run.host}"
