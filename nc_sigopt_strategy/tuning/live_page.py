"""The page of a run while it goes on: renewed between two trials, and at next to no cost."""

from __future__ import annotations

import dataclasses
import logging
import time

from nc_sigopt_strategy.console.progress import format_seconds
from nc_sigopt_strategy.reports.run_page import write_page
from nc_sigopt_strategy.reports.run_record import run_record
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.space.ops import ops_by_type
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.preparation import Preparation
from nc_sigopt_strategy.tuning.run import Run
from nc_sigopt_strategy.winners.other_bounds import other_bounds

logger = logging.getLogger("nc_sigopt_strategy")

# Of a run's time that the page may take.
SHARE = 0.01


class LivePage:
    """Writes ``report.html`` between trials, where ``Settings.live_page`` asks for it.

    Never while a model is timed. The page that ``ending`` writes takes its place.

    Args:
        preparation: What the run started from.
        budget: Of the run.
    """

    def __init__(self, preparation: Preparation, budget: Budget) -> None:
        self._folder = preparation.folder
        self._budget = budget
        self._on = preparation.settings.live_page
        self._not_before = 0.0

    def renew(self, run: Run) -> None:
        """Write the page as the run is now, unless that would take more than its share.

        A page that cannot be written costs the run nothing but the page.
        """
        began = time.monotonic()
        if not self._on or began < self._not_before:
            return
        records = run.history.records
        try:
            write_page(run_record(self._folder, so_far(run, self._budget), records, running=True))
        except Exception as error:
            logger.warning("The page cannot follow the run: %s", error)
            self._on = False
        ended = time.monotonic()
        self._not_before = ended + (ended - began) / SHARE


def so_far(run: Run, budget: Budget) -> Outcome:
    """What there is of a run's outcome before its end; nothing in it was timed side by side."""
    start, records = run.start, run.history.records
    preparation, bound = start.preparation, start.baseline.bound
    best = _best(run)
    outcome = Outcome(
        strategy="sigopt",
        found=best is not None,
        stop_reason=_standing(len(records), budget),
        model=preparation.host.model_name,
        runtime=preparation.host.backend.name,
        verdict=_verdict(run),
        baseline_accuracy=bound.baseline_scalar,
        accuracy_target=bound.target,
        higher_is_better=bound.maximize,
        fp32_latency_seconds=start.meter.fp32_seconds,
        batch_size=start.meter.batch_size,
        best=best,
        trials=len(records),
        tuning_seconds=budget.elapsed_seconds,
        experiment_id=start.experiment.shown_id,
        storage=preparation.workplace.connections.describe(),
        ops_by_type={}
        if best is None
        else ops_by_type(run.space.decode(best.assignments).labels.values()),
    )
    return dataclasses.replace(outcome, other_bounds=other_bounds(outcome, records, bound))


def _best(run: Run) -> TrialRecord | None:
    found = run.history.finalists(1, run.expectation.latency, list(run.decision.may_win()))
    return found[0] if found else None


def _verdict(run: Run) -> str:
    said = run.decision.so_far()
    if said is not None:
        return f"Best so far: {said}."
    if not run.history.records:
        return "No trial has ended so far."
    return "No model has met the bound so far."


def _standing(trials: int, budget: Budget) -> str:
    """``12 of 100 trials in 3:20 of 10:00, at 19:20:03.``"""
    elapsed = format_seconds(budget.elapsed_seconds)
    if budget.timeout_seconds:
        elapsed += f" of {format_seconds(budget.timeout_seconds)}"
    return (
        f"The run goes on: {trials} of {budget.max_trials} trials in {elapsed}, at "
        f"{time.strftime('%H:%M:%S')}. Trials are timed by themselves until the end."
    )
