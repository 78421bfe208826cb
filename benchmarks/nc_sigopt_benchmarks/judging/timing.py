"""Timing the models that a comparison found, in one process, in turn.

Everything is a paired ratio to FP32 or to the default int8 model timed in the same rounds, so that
the machine's drift cancels.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.judging.timed_models import PairedComparison, TimedModel
from nc_sigopt_benchmarks.models.model_files import OpenSession, file_fingerprint
from nc_sigopt_strategy.backends.backend import ModelSession
from nc_sigopt_strategy.measurement.latency import (
    RatioEstimate,
    paired_difference,
    paired_ratio,
    time_side_by_side,
)
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.trial_record import TrialRecord

FP32 = "fp32"
Samples = Mapping[str, Sequence[float]]


def time_models(
    open_session: OpenSession,
    fp32: Path,
    paths: Mapping[str, Path],
    batch: Any,
    *,
    rounds: int,
    seed: int,
) -> dict[str, list[float]]:
    """Seconds per inference of FP32 and of each of ``paths``, one sample each a round.

    Args:
        open_session: Opens a model's file.
        fp32: The FP32 model; it is timed under the name ``FP32``.
        paths: Name to file of a model with the same inputs and outputs.
        batch: What each is run on.
        rounds: Samples per model.
        seed: Of the order within a round.

    Raises:
        ModelError: One of the files cannot be used.
    """
    with ExitStack() as stack:
        sessions = {
            name: _open(stack, open_session, path) for name, path in {FP32: fp32, **paths}.items()
        }
        return time_side_by_side(sessions, batch, rounds=rounds, seed=seed)


def timed_model(name: str, samples: Samples) -> TimedModel:
    """Latency and speed-up over FP32 of one of the models in ``samples``."""
    reference = statistics.median(samples[FP32])
    if name == FP32:
        same = Interval(1.0, 1.0, 1.0)
        return TimedModel(Interval(reference, reference, reference), same, tuple(samples[name]))
    estimate = paired_ratio(samples[name], samples[FP32])
    return TimedModel(
        latency_seconds=Interval(
            estimate.ratio * reference, estimate.low * reference, estimate.high * reference
        ),
        speedup=Interval(1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low),
        samples=tuple(samples[name]),
    )


def ratio(name: str, other: str, samples: Samples) -> RatioEstimate:
    """Latency of ``name`` over that of ``other``, paired, with its 95 % interval."""
    return paired_ratio(samples[name], samples[other])


def time_trials(
    open_session: OpenSession,
    folder: Path,
    trials: Sequence[TrialRecord],
    batch: Any,
    *,
    reference: Path,
    reference_seconds: float,
    rounds: int,
    seconds: float,
) -> list[TrialRecord]:
    """Give trials whose graphs were kept their latency, as long as the time lasts.

    Args:
        open_session: Opens a model's file.
        folder: What the trials' ``model_path`` is relative to.
        trials: In the order in which they ran.
        batch: What each is run on.
        reference: The graph that each is paired with.
        reference_seconds: The reference's own latency.
        rounds: Samples per trial, fewer where time is short.
        seconds: Limit on the wall time of all of it; trials beyond it stay without a latency,
            first those that miss the bound.

    Returns:
        The trials in their old order. Trials with the same graph share one measurement.
    """
    fingerprints = {
        trial.number: file_fingerprint(folder / trial.model_path)
        for trial in trials
        if trial.model_path is not None
    }
    known = {file_fingerprint(reference): RatioEstimate(1.0, 0.0, 1.0, 1.0)}
    # An equal share of the time each, so that the last trials are timed as well as the first.
    share = seconds / max(1, len(set(fingerprints.values()) - set(known)))
    end = time.monotonic() + seconds
    first: dict[str, int] = {}
    timed = {trial.number: trial for trial in trials}
    with ExitStack() as outer:
        pair = _open(outer, open_session, reference)
        for trial in sorted(trials, key=lambda trial: not trial.meets_bound):
            fingerprint = fingerprints.get(trial.number)
            if fingerprint is None or trial.model_path is None:
                continue
            if fingerprint not in known:
                begun = time.monotonic()
                if begun > end:
                    continue
                with ExitStack() as inner:
                    opened = _open(inner, open_session, folder / trial.model_path)
                    samples = time_side_by_side(
                        {"trial": opened, "reference": pair},
                        batch,
                        rounds=rounds,
                        deadline=begun + share,
                    )
                known[fingerprint] = paired_ratio(samples["trial"], samples["reference"])
            estimate = known[fingerprint]
            earlier = first.setdefault(fingerprint, trial.number)
            timed[trial.number] = dataclasses.replace(
                trial,
                latency_seconds=estimate.ratio * reference_seconds,
                latency_stddev=estimate.stderr * reference_seconds,
                duplicate_of=earlier if earlier < trial.number else None,
            )
    return [timed[trial.number] for trial in trials]


def paired_comparison(name: str, other: str, samples: Samples) -> PairedComparison:
    """One model of ``samples`` against another, both in the same rounds."""
    estimate = ratio(name, other, samples)
    difference = paired_difference(samples[name], samples[other])
    return PairedComparison(
        speedup=Interval(1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low),
        difference_seconds=Interval(*difference),
    )


def _open(stack: ExitStack, open_session: OpenSession, path: Path) -> ModelSession:
    session = open_session(path)
    stack.callback(session.close)
    return session
