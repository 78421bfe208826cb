"""A trial as it is recorded once it was measured."""

from __future__ import annotations

from nc_sigopt_strategy.experiments.suggestion import Suggestion
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState


def measured(trial: Suggestion) -> TrialRecord:
    """Of any suggestion the same values."""
    return TrialRecord(
        trial.number,
        TrialState.OBSERVED,
        assignments=trial.assignments,
        suggestion_id=trial.suggestion_id,
        accuracy=0.9,
        latency_seconds=0.5,
        duration_seconds=1.0,
    )
