"""Trials of a race as the records that the strategy's own rules read."""

from __future__ import annotations

from collections.abc import Mapping

from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState


def trial_record(trial: Trial, assignments: Mapping[str, str] | None = None) -> TrialRecord:
    """The record of a trial; latencies keep the landscape's unit.

    Args:
        trial: What was measured.
        assignments: Its assignments, where the reader needs them.
    """
    return TrialRecord(
        number=trial.number,
        state=TrialState.OBSERVED,
        assignments=assignments or {},
        accuracy=trial.look.accuracy,
        accuracy_stddev=trial.look.accuracy_stderr,
        meets_bound=trial.meets_bound,
        latency_seconds=trial.look.latency,
        latency_stddev=trial.look.latency_stderr,
        output_noise=trial.look.output_noise,
    )
