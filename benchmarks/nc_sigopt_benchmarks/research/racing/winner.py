"""Who wins after so many trials, by the strategy's own rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape, Values
from nc_sigopt_benchmarks.research.racing.measuring import Measuring
from nc_sigopt_benchmarks.research.racing.records import trial_record
from nc_sigopt_benchmarks.research.racing.trial import Trial
from nc_sigopt_strategy.results.trial_history import fastest_feasible
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.sampling.conventions import Reading
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.sampler import one_blas_thread
from nc_sigopt_strategy.sampling.quantization.trial_arrays import known_errors
from nc_sigopt_strategy.sampling.quantization.turned_inputs import PairedErrors
from nc_sigopt_strategy.settings.choices import EVEN_ODDS
from nc_sigopt_strategy.winners.bound_odds import BoundOdds, may_win

FINALISTS = 3

# What trials say of those among them that met the bound, by trial number.
JudgedBy = Callable[[Sequence[Trial]], Mapping[int, BoundOdds]]


def winner_changes(
    trials: Sequence[Trial],
    measuring: Measuring,
    judged_by: JudgedBy,
    confidence: float = EVEN_ODDS,
) -> Iterator[tuple[int, Trial]]:
    """Each change of the winner: after how many trials, and who wins from then on.

    The ``FINALISTS`` fastest of the trials that may win are timed again, and the fastest of these
    wins (``bound_odds.may_win``, ``fastest_feasible``; the strategy also prefers the more accurate
    of two that are tied, which needs the rounds themselves and is left out). While no trial
    may win nothing comes, and whoever won before stands.

    Args:
        trials: In order.
        measuring: Times finalists.
        judged_by: What trials say of those that met the bound.
        confidence: ``bound_confidence``.
    """
    records: list[TrialRecord] = []
    final: dict[int, float] = {}
    last: int | None = None
    for trial in trials:
        records.append(trial_record(trial))
        allowed = may_win(records, judged_by(trials[: len(records)]), confidence)
        finalists = fastest_feasible(allowed, FINALISTS)
        if not finalists:
            continue
        for record in finalists:
            if record.number not in final:
                choice = trials[record.number - 1].choice
                final[record.number] = measuring.final_latency(choice)
        best = min(finalists, key=lambda record: final[record.number]).number
        if best != last:
            last = best
            yield trial.number, trials[best - 1]


def judged_on(landscape: Landscape) -> JudgedBy:
    """What the strategy's model of accuracy says of trials on a landscape."""

    def judged_by(trials: Sequence[Trial]) -> dict[int, BoundOdds]:
        met = [trial for trial in trials if trial.meets_bound]
        if not met:
            return {}
        noise, accuracy, errors = _columns(trials)
        with one_blas_thread():
            model = AccuracyModel(
                noise, accuracy, landscape.bound, landscape.baseline_accuracy, errors
            )
            judged = model.judged(*_columns(met))
        return {
            trial.number: BoundOdds(float(probability), float(spare), float(luck))
            for trial, probability, spare, luck in zip(
                met, judged.probability, judged.spare, judged.luck, strict=True
            )
        }

    return judged_by


def _columns(trials: Sequence[Trial]) -> tuple[Values, Values, PairedErrors | None]:
    """Output noise, accuracy, and what is known of images one by one."""
    looks = [trial.look for trial in trials]
    readings = [
        Reading(look.latency, accuracy_stderr=look.accuracy_stderr, turned=look.turned)
        for look in looks
    ]
    return (
        np.array([look.output_noise for look in looks]),
        np.array([look.accuracy for look in looks]),
        known_errors(readings),
    )
