"""Models of several runtimes timed in turn: the last word on which one is the fastest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.autotuning.host_run import HostRun
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.comparison import (
    FP32,
    MOST_SECONDS,
    Comparison,
    compare_until,
)
from nc_sigopt_strategy.measurement.latency import MINIMUM_ROUNDS, RatioEstimate, time_calls
from nc_sigopt_strategy.measurement.meter import FINALIST_ROUNDS


@dataclass(frozen=True)
class Candidate:
    """A model that may be the fastest.

    Attributes:
        run: The run that it is of.
        model: As the run's backend takes models.
        is_fp32: Whether it is the FP32 model of its runtime.
        accuracy: What its evaluation gave; ``None`` if nobody knows.
        meets_bound: Whether it may be returned.
    """

    run: HostRun
    model: Any
    is_fp32: bool
    accuracy: float | None
    meets_bound: bool


@dataclass(frozen=True)
class SideBySide:
    """What timing candidates in turn gave.

    Attributes:
        candidates: As given.
        fastest: The fastest candidate that meets the bound; ``None`` if none does.
        speedups: Per candidate: the reference's latency over its own, where the reference is the
            first FP32 candidate; ``None`` where nothing was timed.
        tied: Positions of candidates that meet the bound and cannot be told from the fastest.
        timing_noise: How far timings of the reference lay apart.
    """

    candidates: Sequence[Candidate]
    fastest: Candidate | None
    speedups: Sequence[RatioEstimate | None]
    tied: Sequence[int] = ()
    timing_noise: float | None = None


def candidates_of(run: HostRun, bound: AccuracyBound | None) -> list[Candidate]:
    """FP32 of a runtime, and what it was tuned to.

    Args:
        run: Whose runtime is known.
        bound: What the accuracy has to reach, whichever runtime; ``None``: nothing reaches it.
    """
    runtime, best = run.runtime, run.outcome.best
    if runtime is None:
        return []
    fp32 = None if run.fp32_accuracy is None or bound is None else bound.scalar(run.fp32_accuracy)
    met = fp32 is not None and bound is not None and bound.met(fp32)
    found = [Candidate(run, runtime.fp32, True, fp32, met)]
    if best is not None and run.model is not None:
        meets = best.accuracy is not None and bound is not None and bound.met(best.accuracy)
        found.append(Candidate(run, run.model, False, best.accuracy, meets))
    return found


def time_in_turn(
    candidates: Sequence[Candidate],
    *,
    clock: Callable[[], float],
    deadline: float | None,
    seed: int = 0,
) -> SideBySide:
    """Time all candidates round by round until the fastest is known or the time is up.

    Args:
        candidates: At least one of them an FP32 model.
        clock: Monotonic seconds.
        deadline: The clock's reading after which no more rounds start, once there are enough for
            an interval; ``None``: after a minute.
        seed: Of the order within rounds.
    """
    allowed = [position for position, one in enumerate(candidates) if one.meets_bound]
    reference = next(position for position, one in enumerate(candidates) if one.is_fp32)
    until = clock() + MOST_SECONDS
    until = until if deadline is None else min(until, deadline)
    with contextlib.ExitStack() as stack:
        calls: dict[str, Callable[[], float]] = {}
        for position, one in enumerate(candidates):
            if one.run.runtime is None:
                raise RuntimeError(f"The runtime of {one.run.host} is not known.")
            timed = one.run.runtime.timed(one.model, clock)
            calls[str(position)] = stack.enter_context(timed)

        def time_rounds(rounds: int, minimum: int) -> Mapping[str, Sequence[float]]:
            samples = time_calls(
                calls, rounds=rounds, seed=seed, deadline=until, minimum=minimum, clock=clock
            )
            return {**samples, FP32: samples[str(reference)]}

        comparison = compare_until(
            lambda found: _is_decided(found, allowed),
            time_rounds,
            rounds=FINALIST_ROUNDS,
            minimum=MINIMUM_ROUNDS,
            is_time=lambda: clock() < until,
        )
    fastest = _fastest(comparison, allowed)
    return SideBySide(
        candidates,
        None if fastest is None else candidates[fastest],
        [comparison.speedups[position] for position in range(len(candidates))],
        () if fastest is None else _tied(comparison, fastest, allowed),
        comparison.timing_noise,
    )


def _fastest(comparison: Comparison, allowed: Sequence[int]) -> int | None:
    return max(allowed, key=lambda one: comparison.speedups[one].ratio, default=None)


def _tied(comparison: Comparison, fastest: int, allowed: Sequence[int]) -> list[int]:
    ratios = comparison.ratios[fastest]
    return [other for other in allowed if other != fastest and ratios[other].high >= 1.0]


def _is_decided(comparison: Comparison, allowed: Sequence[int]) -> bool:
    fastest = _fastest(comparison, allowed)
    return fastest is None or not _tied(comparison, fastest, allowed)
