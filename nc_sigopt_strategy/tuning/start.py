"""The start of a run: check and evaluate FP32, then create the experiment or continue it."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from nc_sigopt_strategy.errors import ExperimentError, SettingsError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.identity import refuse_another_bound
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.results.run_facts import RunFacts
from nc_sigopt_strategy.settings.choices import EVEN_ODDS, PARETO
from nc_sigopt_strategy.space.parameter_graph import parameter_graph
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.first_check import first_check, refuse_bound_that_fp32_misses
from nc_sigopt_strategy.tuning.host import Baseline
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.preparation import Preparation, identity_of
from nc_sigopt_strategy.tuning.reference import Reference
from nc_sigopt_strategy.tuning.run_folder import note_experiment, prepare_run_folder
from nc_sigopt_strategy.winners.confirmation import Confirmation

logger = logging.getLogger("nc_sigopt_strategy")


@dataclass(frozen=True)
class Start:
    """What the trials of a run rest on.

    Attributes:
        preparation: What the run started from.
        experiment: Created or continued.
        baseline: Of FP32, with the accuracy bound.
        meter: Measures latency and output noise.
        reference: What latencies are compared with.
        confirmation: Has the last word on a finalist's accuracy, if the user wants one.
    """

    preparation: Preparation
    experiment: Experiment
    baseline: Baseline
    meter: Meter
    reference: Reference
    confirmation: Confirmation | None = None


def begin(preparation: Preparation, budget: Budget, interrupts: InterruptWatch) -> Start:
    """Evaluate FP32, and create the experiment or continue it.

    Raises:
        ExperimentError: There is nothing to search, the server refuses the experiment, or the
            bound is not the one that it was begun with.
        DataError: The calibration data does not fit the model.
        ModelError: The model cannot be run, or is not what the user gave.
        SettingsError: FP32 itself misses the accuracy bound, or settings ask for what cannot be
            known or computed here.
        TrialError: The evaluation of FP32 returned nonsense.
    """
    workplace, space = preparation.workplace, preparation.space
    with workplace.machine.held(interrupts.check):
        baseline = first_check(preparation.host, preparation.settings.goal)
    logger.info("Search space: %s.", space.summary())
    if not space.parameters:
        raise ExperimentError(
            "There is nothing to search: no op of the model can be quantized in more than one "
            "way.",
            "Check search_space, locked_ops and excluded_ops, and what a configuration of Neural "
            "Compressor says in op_type_dict and op_name_dict.",
        )
    meter = _meter(preparation, budget)
    _check_confidence(preparation, baseline.bound, meter)
    with workplace.machine.held(interrupts.check):
        confirmation = _confirmation(preparation, baseline.bound, budget)
    known = preparation.experiment
    if known is None:
        definition = _definition(preparation, baseline.bound, budget, meter.measures_noise)
        experiment = workplace.create(definition)
    else:
        experiment = known
        refuse_another_bound(known, baseline.bound.target)
        _complete_record(preparation, known, baseline.bound)
    reference = Reference(
        meter,
        experiment,
        lambda: preparation.host.quantize(space.decode(space.default)),
    )
    if known is not None:
        with workplace.machine.held(interrupts.check):
            reference.restore()
    prepare_run_folder(preparation.folder, preparation.host.backend, new=known is None)
    _facts(preparation, budget).write(preparation.folder)
    note_experiment(experiment, workplace.worker, preparation.folder)
    logger.info(
        "Experiment %s in %s; files in %s.",
        experiment.shown_id,
        workplace.connections.describe(),
        preparation.folder,
    )
    return Start(preparation, experiment, baseline, meter, reference, confirmation)


def _check_confidence(preparation: Preparation, bound: AccuracyBound, meter: Meter) -> None:
    confidence = preparation.settings.bound_confidence
    if confidence <= EVEN_ODDS or (
        meter.measures_noise and bound.shortfall(bound.baseline_scalar) < 0
    ):
        return
    why = (
        "the bound allows no loss of accuracy"
        if meter.measures_noise
        else "output noise cannot be measured, without calibration data that make the model's "
        "outputs vary"
    )
    raise SettingsError(
        f"bound_confidence={confidence:g} cannot be answered: {why}.",
        "Leave it out, and give a confirm_func that evaluates the finalists on other data.",
    )


def _confirmation(
    preparation: Preparation, bound: AccuracyBound, budget: Budget
) -> Confirmation | None:
    host, function = preparation.host, preparation.settings.confirm_func
    if function is None:
        return None
    found = Confirmation(function, bound, host.users_model, host.fp32, budget.clock)
    refuse_bound_that_fp32_misses(found.bound)
    return found


def _facts(preparation: Preparation, budget: Budget) -> RunFacts:
    host = preparation.host
    return RunFacts.now(
        model=host.model_name,
        runtime=host.backend.name,
        max_trials=budget.max_trials,
        timeout_seconds=float(budget.timeout_seconds),
        criterion=host.criterion,
        search_space=preparation.space.describe(),
    )


def _meter(preparation: Preparation, budget: Budget) -> Meter:
    host, settings = preparation.host, preparation.settings
    users_func = settings.latency_func
    return Meter(
        host.backend,
        host.calibration_data().batches,
        host.fp32,
        repeats=settings.latency_repeats,
        seed=preparation.seed,
        latency_func=None
        if users_func is None
        else lambda model: users_func(host.users_model(model)),
        latency_batch_size=settings.latency_batch_size,
        clock=budget.clock,
    )


def _definition(
    preparation: Preparation, bound: AccuracyBound, budget: Budget, stores_noise: bool
) -> Definition:
    settings, space = preparation.settings, preparation.space
    whole_front = settings.goal == PARETO
    return Definition(
        name=settings.sigopt_experiment_name,
        project_id=settings.sigopt_project_id,
        parameters={p.name: p.values for p in space.parameters},
        accuracy_threshold=None if whole_front else bound.target,
        maximize_accuracy=bound.maximize,
        stored_metrics=preparation.stored_metrics.names,
        stores_noise=stores_noise,
        observation_budget=budget.max_trials,
        record=_with_what_the_sampler_uses(
            ExperimentRecord(
                identity=identity_of(preparation).fingerprints(),
                search_space=space.describe(),
                accuracy_target=bound.target if whole_front else None,
                model=f"{preparation.host.model_name} on {preparation.host.backend.name}",
            ),
            preparation,
            bound,
        ),
        parallel_bandwidth=settings.parallel_bandwidth,
    )


def _complete_record(
    preparation: Preparation, experiment: Experiment, bound: AccuracyBound
) -> None:
    """Add what the sampler uses and a SigOpt server did not keep, and what is asked for now."""
    record = experiment.read_record()
    if record.op_graph is None or record.bound_confidence != _asked(preparation):
        experiment.write_record(_with_what_the_sampler_uses(record, preparation, bound))


def _with_what_the_sampler_uses(
    record: ExperimentRecord, preparation: Preparation, bound: AccuracyBound
) -> ExperimentRecord:
    """It follows from the model, and so is no part of the identity."""
    space = preparation.space
    graph = preparation.host.op_graph(space.ops)
    return dataclasses.replace(
        record,
        op_graph=parameter_graph(graph, {p.name: p.ops for p in space.parameters}),
        baseline_accuracy=bound.baseline_scalar,
        bound_confidence=_asked(preparation),
    )


def _asked(preparation: Preparation) -> float | None:
    """As the record has it: nothing for even odds, as in records from before one could ask."""
    confidence = preparation.settings.bound_confidence
    return None if confidence == EVEN_ODDS else confidence
