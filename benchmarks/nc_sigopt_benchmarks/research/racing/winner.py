"""Who wins after so many trials, by the strategy's own rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.records import trial_record
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.results.trial_history import fastest_feasible
from nc_sigopt_strategy.results.trial_record import TrialRecord

FINALISTS = 3


def winner_changes(trials: Sequence[Trial], measuring: Measuring) -> Iterator[tuple[int, Trial]]:
    """Each change of the winner: after how many trials, and who wins from then on.

    The ``FINALISTS`` fastest of the trials that met the bound are timed again, and the fastest
    of these wins (``verdict.fastest_feasible``; the strategy also prefers the more accurate of
    two that are tied, which needs the rounds themselves and is left out). Nothing comes while no
    trial meets the bound.
    """
    finalists: list[TrialRecord] = []
    final: dict[int, float] = {}
    last: int | None = None
    for trial in trials:
        # Whoever is not among the finalists now cannot be one later: others only join.
        entered = fastest_feasible([*finalists, trial_record(trial)], FINALISTS)
        if entered == finalists:
            continue
        finalists = entered
        for record in finalists:
            if record.number not in final:
                choice = trials[record.number - 1].choice
                final[record.number] = measuring.final_latency(choice)
        best = min(finalists, key=lambda record: final[record.number]).number
        if best != last:
            last = best
            yield trial.number, trials[best - 1]
