"""The end of a run: decide which model is returned, write what there is, tell the user."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import named
from nc_sigopt_strategy.reports.run_page import PAGE_FILE, write_page
from nc_sigopt_strategy.reports.run_record import run_record
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import BatchLatency, OpCost, Outcome
from nc_sigopt_strategy.results.run_files import (
    publish,
    set_last_outcome,
    write_outcome,
    write_recipe,
    write_trials,
)
from nc_sigopt_strategy.results.trial_history import is_faster
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.space.ops import ops_by_type
from nc_sigopt_strategy.tuning.as_ran import AsRan
from nc_sigopt_strategy.tuning.failures import shared_by_all, way_through_users_code, with_place
from nc_sigopt_strategy.tuning.host import Model
from nc_sigopt_strategy.tuning.interrupts import INTERRUPTED
from nc_sigopt_strategy.tuning.preparation import Preparation
from nc_sigopt_strategy.tuning.run import Run
from nc_sigopt_strategy.winners.contributions import contributions_to
from nc_sigopt_strategy.winners.in_words import Worth, verdict
from nc_sigopt_strategy.winners.other_bounds import other_bounds
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
        stopped: What ended the run before its budget was spent, if anything did.
    """

    outcome: Outcome
    model: Model | None
    stopped: BaseException | None = None


def end(preparation: Preparation, run: Run | None, stopped: BaseException | None) -> Ended:
    """Decide, write the files and release what the run holds. A second Ctrl-C ends this too.

    Args:
        preparation: What the run started from.
        run: The run; ``None`` if it did not get that far.
        stopped: What ended it before its budget was spent, if anything did.
    """
    reason, error = _why(preparation, stopped)
    if run is None:
        nothing = Outcome(
            strategy="sigopt",
            found=False,
            stop_reason=reason,
            model=preparation.host.model_name,
            runtime=preparation.host.backend.name,
            error=error,
            crash=None if stopped is None else way_through_users_code(stopped),
        )
        return Ended(publish(nothing, preparation.folder, {}), None, stopped)
    # Why nothing came of it says more than how many trials it took to find out.
    reason = reason or shared_by_all(run.history.records) or run.stop_reason
    decided: tuple[TrialRecord, Model] | None = None
    try:
        with preparation.workplace.machine.held():
            decided = run.decision.decide(_rebuilder(preparation), hurried=_is_hurried(stopped))
    except (Exception, SystemExit) as problem:
        reason = error = preparation.host.reason(problem)
        logger.error("The run could not be concluded: %s", named(problem))
    finally:
        run.close(_FLUSH_SECONDS)
    winner, model = decided or (None, None)
    if winner is not None:
        winner = _as_it_runs(run, winner, model)
    outcome = dataclasses.replace(
        _judged(_outcome(run, winner), run),
        deployment=_deployment(preparation, model),
        by_batch=_by_batch(run, model, stopped),
        stop_reason=" ".join(filter(None, (reason, *run.save_errors()))),
        error=error,
        crash=run.crash if stopped is None else way_through_users_code(stopped),
    )
    outcome = publish(outcome, preparation.folder, _writers(run, winner))
    outcome = _with_page(outcome, preparation.folder, run.history.records)
    if run.start.experiment.missed_updates:
        logger.warning(
            "The SigOpt server has missed %d trials of this run. They are in the local store, "
            "and it is told when experiment %s is continued.",
            run.start.experiment.missed_updates,
            run.start.experiment.shown_id,
        )
    return Ended(outcome, model, stopped)


def _with_page(outcome: Outcome, folder: Path, records: Sequence[TrialRecord]) -> Outcome:
    """The page last, because it links to the other files; without it nothing else is lost."""
    try:
        page = write_page(run_record(folder, outcome, records)).name
        outcome = dataclasses.replace(outcome, files={**outcome.files, "report": page})
        write_outcome(outcome, folder)
        set_last_outcome(outcome)
    except Exception as problem:
        logger.warning("The page of the run could not be written: %s", named(problem))
        with contextlib.suppress(OSError):  # what is there says that the run goes on
            (folder / PAGE_FILE).unlink(missing_ok=True)
        logger.debug("Where that failed", exc_info=True)
    return outcome


def _as_it_runs(run: Run, winner: TrialRecord, model: Model) -> TrialRecord:
    """A winner of an earlier process comes from the store, which does not hold this."""
    preparation = run.start.preparation
    choices = preparation.space.decode(winner.assignments)
    found = AsRan(preparation.host.backend).differences(model, choices, say=False)
    return dataclasses.replace(winner, ran_differently=found)


def _by_batch(
    run: Run, model: Model | None, stopped: BaseException | None
) -> tuple[BatchLatency, ...]:
    """The winner at each of several batch sizes; nothing where somebody waits for the end."""
    if model is None or _is_hurried(stopped):
        return ()
    try:
        with run.start.preparation.workplace.machine.held():
            return tuple(run.start.meter.by_batch(model, deadline=run.budget.deadline))
    except Exception as problem:  # only a report is lost
        logger.warning("Latency by batch size is not known: %s", named(problem))
        return ()


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
    if properties := deployment.get("properties"):
        said.append(f"compile the model with the properties {dict(properties)}")
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
    reason = with_place(preparation.host.reason(stopped), stopped)
    return reason, reason


def _is_hurried(stopped: BaseException | None) -> bool:
    """Whether somebody waits for the end, and not only for the result."""
    return stopped is not None and not isinstance(stopped, (Exception, SystemExit))


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
    trials = {"trials": lambda: write_trials(records, folder)}
    if winner is None:
        return trials
    return {"recipe": lambda: write_recipe(recipe(winner), folder), **trials}


def _outcome(run: Run, winner: TrialRecord | None) -> Outcome:
    start, records = run.start, run.history.records
    preparation, bound = start.preparation, start.baseline.bound
    nearest = _nearest(run, winner)
    costly: tuple[OpCost, ...] = ()
    if winner is None and nearest is not None:
        names = {p.name: ", ".join(op for op, _ in p.ops) for p in run.space.parameters}
        costly = costliest_ops(records, bound.maximize, names)
    if winner is not None and run.models.save_error is None:
        winner = dataclasses.replace(winner, model_path=run.models.file_name)
    model_path = None if winner is None else winner.model_path
    first = [r.ended_seconds for r in records if run.is_success(r)]
    return Outcome(
        strategy="sigopt",
        found=winner is not None,
        stop_reason="",
        model=preparation.host.model_name,
        runtime=preparation.host.backend.name,
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
        seconds_to_first_feasible=min(first, default=None),
        tied=run.decision.tied,
        front=run.decision.front,
        finalists=run.decision.finalists,
        bound_confidence=None
        if preparation.settings.goal == PARETO
        else preparation.settings.bound_confidence,
        most_probable=run.decision.most_probable() if winner is None else None,
        calibration=preparation.host.calibration(),
        session_options=preparation.settings.onnxruntime_session_options,
        ops_by_type=_types_of(run, winner),
        op_contributions=contributions_to(
            _looked_into(run, winner, nearest),
            records,
            run.space.parameters,
            lambda: start.experiment.read_record().op_graph,
            bound,
        ),
        trials_by_worker=run.history.trials_by_worker(),
        model_notes=tuple(preparation.host.notes),
    )


def _looked_into(
    run: Run, winner: TrialRecord | None, nearest: TrialRecord | None
) -> TrialRecord | None:
    """The model whose types are weighed op by op: of FP32 there is nothing to say."""
    if winner is not None and run.is_quantized(winner):
        return winner
    return nearest or run.history.default


def _types_of(run: Run, winner: TrialRecord | None) -> Mapping[str, int]:
    if winner is None:
        return {}
    return ops_by_type(run.space.decode(winner.assignments).labels.values())


def _nearest(run: Run, winner: TrialRecord | None) -> TrialRecord | None:
    """The trial that comes nearest to what was asked for; ``None`` where that was found."""
    bound, meter = run.start.baseline.bound, run.start.meter
    observed = [r for r in run.history.records if r.accuracy is not None]
    if winner is not None:
        if winner.meets_bound is False or _worth(run, winner).faster is not False:
            return None
        fp32 = meter.fp32_seconds
        observed = [
            r
            for r in observed
            if not r.meets_bound and fp32 is not None and is_faster(r, fp32, meter.fp32_stderr)
        ]
    return min(observed, key=lambda r: bound.shortfall(r.accuracy or 0.0), default=None)


def _worth(run: Run, winner: TrialRecord) -> Worth:
    timing, default = run.decision.timing, run.history.default
    speedup: Interval | None = None
    if timing is not None and winner.number in timing.speedups:
        estimate = timing.speedups[winner.number]
        speedup = Interval(estimate.ratio, estimate.low, estimate.high)
    return Worth(
        quantized=run.is_quantized(winner),
        speedup=speedup,
        is_default=default is not None and default.number == winner.number,
    )


def _judged(outcome: Outcome, run: Run) -> Outcome:
    worth = None if outcome.best is None else _worth(run, outcome.best)
    timing = run.decision.timing
    outcome = dataclasses.replace(
        outcome,
        faster_than_fp32=None if worth is None else worth.faster,
        speedup=None if worth is None else worth.speedup,
        timing_noise=None if timing is None else timing.timing_noise,
    )
    others = other_bounds(outcome, run.history.records, run.start.baseline.bound)
    outcome = dataclasses.replace(outcome, other_bounds=others)
    return dataclasses.replace(outcome, verdict=verdict(outcome, worth))
