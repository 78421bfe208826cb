"""The end of a run: decide which model is returned, write what there is, tell the user."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.results.outcome import OpCost, Outcome
from nc_sigopt_strategy.results.run_files import publish, write_recipe, write_trials
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.tuning.as_ran import AsRan
from nc_sigopt_strategy.tuning.host import Model
from nc_sigopt_strategy.tuning.interrupts import INTERRUPTED
from nc_sigopt_strategy.tuning.preparation import Preparation
from nc_sigopt_strategy.tuning.run import Run
from nc_sigopt_strategy.winners.contributions import contributions_to
from nc_sigopt_strategy.winners.verdict import costliest_ops

logger = logging.getLogger("nc_sigopt_strategy")

# What a server that was away gets at the end, to be told what it missed.
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        outcome: As it was written.
        model: The model of ``outcome.best``; ``None`` if there is none.
    """

    outcome: Outcome
    model: Model | None


def end(preparation: Preparation, run: Run | None, stopped: BaseException | None) -> Ended:
    """Decide, write the files and release what the run holds. A second Ctrl-C ends this too.

    Args:
        preparation: What the run started from.
        run: The run; ``None`` if it did not get that far.
        stopped: What ended it before its budget was spent, if anything did.
    """
    reason, error = _why(preparation, stopped)
    if run is None:
        nothing = Outcome(strategy="sigopt", found=False, stop_reason=reason, error=error)
        return Ended(publish(nothing, preparation.folder, {}), None)
    reason = reason or run.stop_reason
    decided: tuple[TrialRecord, Model] | None = None
    try:
        with preparation.workplace.machine.held():
            decided = run.decision.decide(_rebuilder(preparation))
    except Exception as problem:
        reason = error = preparation.host.reason(problem)
        logger.error("The run could not be concluded: %s", problem)
    finally:
        run.close(_FLUSH_SECONDS)
    winner, model = decided or (None, None)
    if winner is not None:
        winner = _as_it_runs(run, winner, model)
    outcome = dataclasses.replace(
        _outcome(run, winner),
        deployment=_deployment(preparation, model),
        stop_reason=" ".join(filter(None, (reason, *run.save_errors()))),
        error=error,
    )
    outcome = publish(outcome, preparation.folder, _writers(run, winner))
    if run.start.experiment.missed_updates:
        logger.warning(
            "The SigOpt server has missed %d trials of this run. They are in the local store, "
            "and it is told when experiment %s is continued.",
            run.start.experiment.missed_updates,
            run.start.experiment.shown_id,
        )
    return Ended(outcome, model)


def _as_it_runs(run: Run, winner: TrialRecord, model: Model) -> TrialRecord:
    """A winner of an earlier process comes from the store, which does not hold this."""
    preparation = run.start.preparation
    choices = preparation.space.decode(winner.assignments)
    found = AsRan(preparation.host.backend).differences(model, choices, say=False)
    return dataclasses.replace(winner, ran_differently=found)


def _deployment(preparation: Preparation, model: Model | None) -> Mapping[str, Any]:
    if model is None:
        return {}
    needed = preparation.host.backend.deployment(model)
    if needed:
        logger.info("For the latency and accuracy that were measured: %s.", _in_words(needed))
    return needed


def _in_words(deployment: Mapping[str, Any]) -> str:
    said = []
    if options := deployment.get("session_options"):
        said.append(f"run the model with the session options {dict(options)}")
    if rebuilt := deployment.get("rebuilt_from_recipe"):
        entries = rebuilt["session_config_entries"]
        said.append(
            "the saved model keeps its fp32 ops in any session; one rebuilt from recipe.json "
            f"needs the session config entries {entries}"
        )
    return "; ".join(said)


def _why(preparation: Preparation, stopped: BaseException | None) -> tuple[str, str | None]:
    """The stop reason in words, and the error if one was it."""
    if stopped is None:
        return "", None
    if isinstance(stopped, KeyboardInterrupt):
        return INTERRUPTED, None
    reason = preparation.host.reason(stopped)
    return reason, reason


def _rebuilder(preparation: Preparation) -> Callable[[Mapping[str, str]], Model]:
    def rebuild(assignments: Mapping[str, str]) -> Model:
        return preparation.host.quantize(preparation.space.decode(assignments))

    return rebuild


def _writers(run: Run, winner: TrialRecord | None) -> dict[str, Callable[[], Path]]:
    preparation, records = run.start.preparation, run.history.records
    folder = preparation.folder

    def recipe(trial: TrialRecord) -> Mapping[str, object]:
        return preparation.host.recipe(run.space.decode(trial.assignments))

    if run.decision.front_files is not None:
        run.decision.front_files.write_recipes(run.decision.front, recipe)
    writers = {"trials": lambda: write_trials(records, folder)}
    if winner is not None:
        writers["recipe"] = lambda: write_recipe(recipe(winner), folder)
    return writers


def _outcome(run: Run, winner: TrialRecord | None) -> Outcome:
    start, records = run.start, run.history.records
    preparation, bound = start.preparation, start.baseline.bound
    observed = [r for r in records if r.accuracy is not None]
    nearest: TrialRecord | None = None
    costly: tuple[OpCost, ...] = ()
    if winner is None and observed:
        nearest = min(observed, key=lambda r: bound.shortfall(r.accuracy or 0.0))
        names = {p.name: ", ".join(op for op, _ in p.ops) for p in run.space.parameters}
        costly = costliest_ops(records, bound.maximize, names)
    if winner is not None and run.models.save_error is None:
        winner = dataclasses.replace(winner, model_path=run.models.file_name)
    model_path = None if winner is None else winner.model_path
    feasible = [r.ended_seconds for r in records if r.meets_bound]
    return Outcome(
        strategy="sigopt",
        found=winner is not None,
        stop_reason="",
        baseline_accuracy=bound.baseline_scalar,
        baseline_duration_seconds=start.baseline.duration_seconds,
        accuracy_target=bound.target,
        higher_is_better=bound.maximize,
        fp32_latency_seconds=start.meter.fp32_seconds,
        batch_size=start.meter.batch_size,
        best=winner,
        nearest_miss=nearest,
        costliest_ops=costly,
        trials=len(records),
        tuning_seconds=run.budget.elapsed_seconds,
        experiment_id=start.experiment.shown_id,
        storage=preparation.workplace.connections.describe(),
        files={} if model_path is None else {"model": model_path},
        seconds_to_first_feasible=min(feasible) if feasible else None,
        tied=run.decision.tied,
        front=run.decision.front,
        calibration=preparation.host.calibration(),
        session_options=preparation.settings.onnxruntime_session_options,
        op_contributions=contributions_to(
            winner,
            records,
            run.space.parameters,
            lambda: start.experiment.read_record().op_graph,
            bound,
        ),
        trials_by_worker=run.history.trials_by_worker(),
    )
