"""``SigOptTuneStrategy``: INC's ``traverse`` joined to SigOpt's suggestion loop.

INC's loop is used as it is: it takes op-wise configs from ``next_tune_cfg``, converts, quantizes,
runs its pre- and post-quantization algorithms, and asks ``_evaluate`` for the result. Everything
else here follows from facts of INC's base class (checked in 2.6 and 3.7.1):

* ``fit`` swallows whatever ``traverse`` raises, so what a user has to see is raised by
  ``__init__`` or logged.
* ``traverse`` can be entered again after a failed trial; its set-up is guarded.
* A hit in INC's history reports another trial's result, so the history is written, never read.
* INC drops the best model and quantizes it again; here the model that was measured is returned.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from neural_compressor.config import options
from neural_compressor.strategy.strategy import TuneStrategy

from nc_sigopt_strategy.backends import Backend, backend_for
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.identity import identity, refuse_another_bound
from nc_sigopt_strategy.hosts.inc.calibration import STOCK, CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.temp_files import ReclaimedTempFiles
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.inc.config_checks import (
    check_criterion,
    check_measurable,
    check_objective,
    check_recipes,
)
from nc_sigopt_strategy.hosts.inc.logged_errors import LoggedErrors
from nc_sigopt_strategy.hosts.inc.recipe import write_recipe
from nc_sigopt_strategy.hosts.inc.registration import register
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound, finite_values
from nc_sigopt_strategy.measurement.batches import CalibrationData, read_calibration_data
from nc_sigopt_strategy.measurement.meter import Meter
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetrics, evaluated_object
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import publish, write_trials
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.secret import seal
from nc_sigopt_strategy.settings.settings import PARETO, Settings
from nc_sigopt_strategy.space.parameter_graph import parameter_graph
from nc_sigopt_strategy.space.search_space import SearchSpace, SpaceRequest, build_search_space
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.first_suggestions import InitialSuggestions
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.run import TuningRun
from nc_sigopt_strategy.tuning.run_folder import announce, note_experiment, prepare_run_folder
from nc_sigopt_strategy.tuning.workplace import Workplace
from nc_sigopt_strategy.winners.explaining import contributions_to

logger = logging.getLogger("nc_sigopt_strategy")

INTERRUPTED = "Interrupted."


class SigOptTuneStrategy(TuneStrategy):  # type: ignore[misc]  # INC ships no types
    """INC's tuning strategy of the name "sigopt"; INC builds it, users name it.

    Minimizes latency with accuracy as a constraint. Takes its settings from
    ``TuningCriterion(strategy_kwargs=...)``; see ``Settings``.

    Raises:
        SigOptStrategyError: From the constructor: wrong settings, an unreachable server, a store
            that cannot be used, an experiment that cannot be continued.
    """

    def __init__(self, model: Any, conf: Any, *args: Any, **kwargs: Any) -> None:
        criterion = conf.quantization.tuning_criterion
        self._settings = Settings.from_kwargs(criterion.strategy_kwargs)
        check_criterion(criterion)
        check_objective(criterion)
        check_recipes(conf.quantization.recipes)
        seal(criterion)
        super().__init__(model, conf, *args, **kwargs)
        self._run: TuningRun | None = None
        self._winner: Any = None
        self._space: SearchSpace | None = None
        self._data: CalibrationData | None = None
        self._calibration = CalibrationUsage()
        self._experiment: Experiment | None = None
        self._baseline_seconds: float | None = None
        self._values: dict[int, Any] = {}
        if self._not_tuning:
            return
        if getattr(self.config, "diagnosis", None):
            # It would put the baseline off until after the first trial, and the bound with it.
            logger.warning("diagnosis=True is not supported by the sigopt strategy; it is off.")
            self.diagnosis_done = True
        self._backend: Backend = backend_for(
            self.framework, self._settings.onnxruntime_session_options
        )
        # Taken now: INC's adaptor changes the graph in place when it queries its capabilities.
        self._model_fingerprint = self._backend.fingerprint(self.model)
        check_measurable(self._settings, self.calib_dataloader, self.eval_dataloader)
        seed = self._settings.seed
        self._seed: int = options.random_seed if seed is None else seed
        self._stored_metrics = StoredMetrics(
            self._settings.stored_metrics_func,
            lambda: evaluated_object(self.framework, self.model),
        )
        self._workplace = Workplace(self._settings, self._output_dir, self._seed)
        if self._settings.sigopt_experiment_id is not None:
            self._experiment = self._workplace.join(self._identity())
        # INC reads the timeout again when it enters its own time limit, right after this
        # constructor; ours replaces it, and traverse puts the user's value back.
        self._timeout_seconds = float(criterion.timeout)
        criterion.timeout = 0

    def next_tune_cfg(self) -> Iterator[Any]:
        """Yield the next op-wise config to quantize, in INC's form."""
        if self._not_tuning:
            _, _, config = self.initial_tuning_cfg()
            config["calib_sampling_size"] = self.calib_sampling_size_lst[0]
            yield config
            return
        run = self._run or self._start()
        while True:
            # Here the previous trial is over, however it ended.
            self._temp_files.reclaim()
            self._logged.last = None
            self._interrupt.check()
            trial = run.next_trial()
            if trial is None:
                return
            yield run.space.decode(trial.assignments)

    def traverse(self) -> None:
        """Run INC's loop until the budget is spent, then decide among the best."""
        if self._not_tuning:
            super().traverse()
            return
        self.config.tuning_criterion.timeout = self._timeout_seconds
        self._budget = Budget(
            self.config.tuning_criterion.max_trials,
            self._timeout_seconds,
            self._settings.stop_at_first,
        )
        with contextlib.ExitStack() as stack:
            self._progress = stack.enter_context(
                TuningProgress(
                    "sigopt",
                    max_trials=self._budget.max_trials,
                    timeout_seconds=self._timeout_seconds or None,
                    enabled=self._settings.progress,
                )
            )
            self._logged = stack.enter_context(LoggedErrors())
            self._interrupt = stack.enter_context(InterruptWatch())
            self._temp_files = stack.enter_context(ReclaimedTempFiles())
            stopped, failure = "", None
            try:
                stack.enter_context(self._calibrated_once())
                self._traverse_trials()
            except KeyboardInterrupt:
                stopped = INTERRUPTED
            except Exception as error:
                stopped, failure = self._logged.reason(error), str(error) or repr(error)
                logger.error("Tuning ended early: %s", error)
                logger.debug("Where it ended", exc_info=True)
            self._finish(stopped, failure)

    def stop(self, timeout: float, trials_count: int) -> bool:
        """INC asks after every trial; ``next_tune_cfg`` ends instead when it is time."""
        if self._not_tuning:
            return bool(super().stop(timeout, trials_count))
        return False

    def get_best_qmodel(self) -> Any:
        """The winner, which is the very model that was measured; ``None`` if there is none."""
        return super().get_best_qmodel() if self._not_tuning else self._winner

    def _traverse_trials(self) -> None:
        while True:
            try:
                super().traverse()
                return
            except Exception as error:
                run = self._run
                if run is None or run.open is None:
                    raise
                # What looks like a failure may be a Ctrl-C that INC caught and stumbled over.
                self._interrupt.check()
                run.fail(self._logged.reason(error))

    def _start(self) -> TuningRun:
        """Create or join the experiment; called once the baseline is known."""
        bound = self._bound()
        settings, space = self._settings, self._search_space()
        logger.info("Search space: %s.", space.summary())
        if not space.parameters:
            raise ExperimentError(
                "There is nothing to search: no op of the model can be quantized in more than one "
                "way.",
                "Check op_type_dict, op_name_dict and locked_ops.",
            )
        meter = Meter(
            self._backend,
            self._read_data().batches,
            self.model,
            repeats=settings.latency_repeats,
            seed=self._seed,
            latency_func=settings.latency_func,
            latency_batch_size=settings.latency_batch_size,
        )
        if self._experiment is None:
            self._experiment = self._workplace.create(
                self._definition(bound, stores_noise=meter.measures_noise)
            )
        else:
            refuse_another_bound(self._experiment, bound.target)
            self._complete_record(self._experiment, bound)
            with self._workplace.machine.held(self._interrupt.check):
                self._restore_reference(meter)
        new = self._settings.sigopt_experiment_id is None
        prepare_run_folder(self._output_dir, self._backend, new=new)
        note_experiment(self._experiment, self._workplace.worker, self._output_dir)
        logger.info(
            "Experiment %s in %s; files in %s.",
            self._experiment.shown_id,
            self._workplace.connections.describe(),
            self._output_dir,
        )
        self._run = TuningRun(
            experiment=self._experiment,
            space=space,
            seeds=InitialSuggestions(
                space.parameters, space.default, whole_front=settings.goal == PARETO
            ),
            bound=bound,
            meter=meter,
            backend=self._backend,
            budget=self._budget,
            output_dir=self._output_dir,
            progress=self._progress,
            goal=settings.goal,
            finalists=settings.finalists,
            sampler=settings.sampler,
            trial_timeout_seconds=settings.trial_timeout_seconds,
            interrupts=self._interrupt,
            worker=self._workplace.worker,
            machine=self._workplace.machine,
            restore_reference=lambda: self._restore_reference(meter),
        )
        return self._run

    def _evaluate(self, model: Any) -> Any:
        """Evaluate the baseline, or evaluate, measure and observe the open trial's model."""
        run = self._run
        if self.baseline is None or run is None:
            with self._workplace.machine.held(self._interrupt.check):
                begun = time.monotonic()
                value = super()._evaluate(model)
            finite_values(value[0])
            self._baseline_seconds = self._duration(value, time.monotonic() - begun)
            return value
        self._interrupt.check()
        same = run.quantized(model)
        if same is not None and same.number in self._values:
            run.repeat(same)
            self.objectives.val = self._values[same.number]
            return self.objectives.val
        begun = time.monotonic()
        value = super()._evaluate(model)
        seconds = time.monotonic() - begun
        if run.open is not None:
            run.open.phase("evaluate", seconds)
        stored = self._stored_metrics_of(model, run)
        record = run.measure(model, value[0], self._duration(value, seconds), stored)
        self._backend.release(model)
        self._values[record.number] = value
        if record.number == 1:
            announce(self._budget, record, self._settings.goal)
        return value

    def _stored_metrics_of(self, model: Any, run: TuningRun) -> dict[str, float]:
        if not self._stored_metrics.names:
            return {}
        begun = time.monotonic()
        found = self._stored_metrics.of(evaluated_object(self.framework, model))
        if run.open is not None:
            run.open.phase("stored_metrics", time.monotonic() - begun)
        return found

    def _duration(self, value: Any, measured_seconds: float) -> float:
        """INC's own figure where it has one, else the wall time of the evaluation."""
        for name, result in zip(self.objectives.representation, value[1], strict=True):
            if name.lower().startswith("duration"):
                return float(result)
        return measured_seconds

    def _finish(self, stopped: str, failure: str | None) -> None:
        """Close the open trial, decide, write the files. A second Ctrl-C ends this too."""
        run = self._run
        if run is None:
            ended = Outcome(strategy="sigopt", found=False, stop_reason=stopped, error=failure)
            publish(ended, self._output_dir, {})
            return
        decided = None
        run.stop_reason = stopped or run.stop_reason
        try:
            if run.open is not None:
                run.fail(stopped, interrupted=stopped == INTERRUPTED)
        except Exception as error:
            # A store that is gone must not cost the best model too.
            logger.error("The open trial could not be closed: %s", error)
        try:
            decided = run.decide(self._rebuild)
        except Exception as error:
            run.stop_reason = self._logged.reason(error)
            logger.error("The run could not be concluded: %s", error)
        finally:
            run.close()
        if run.decision.front_files is not None:
            run.decision.front_files.write_recipes(run.decision.front, self._op_states)
        winner, self._winner = decided or (None, None)
        outcome = run.outcome(
            baseline_duration_seconds=self._baseline_seconds,
            winner=winner,
            storage=self._workplace.connections.describe(),
            calibration=None
            if self._settings.calibration == STOCK
            else self._calibration.as_dict(),
            session_options=self._settings.onnxruntime_session_options,
        )
        outcome = dataclasses.replace(
            outcome, op_contributions=contributions_to(winner, run), error=failure
        )
        folder, records = self._output_dir, run.history.records
        writers = {"trials": lambda: write_trials(records, folder)}
        if winner is not None:
            writers["recipe"] = lambda: write_recipe(self._op_states(winner), folder)
        publish(outcome, folder, writers)
        if run.experiment.missed_updates:
            logger.warning(
                "The SigOpt server has missed %d trials of this run. They are in the local store, "
                "and it is told when experiment %s is continued.",
                run.experiment.missed_updates,
                run.experiment.shown_id,
            )

    def _op_states(self, trial: TrialRecord) -> Any:
        return self._tune_cfg_converter(self._search_space().decode(trial.assignments))["op"]

    def _rebuild(self, assignments: Mapping[str, str]) -> Any:
        """Quantize a configuration again, as ``traverse`` does."""
        config = self._tune_cfg_converter(self._search_space().decode(assignments))
        model = self.adaptor.quantize(
            copy.deepcopy(config), self.model, self.calib_dataloader, self.q_func
        )
        self.set_param_for_post_quantization_algos(
            self.algo_scheduler, config, self.adaptor.pre_optimized_model, model
        )
        model = self.algo_scheduler("post_quantization")
        self.algo_scheduler.reset_exec_algorithms()
        return model

    def _bound(self) -> AccuracyBound:
        criterion = self.config.accuracy_criterion
        return AccuracyBound.of(
            self.baseline[0],
            relative=criterion.criterion == "relative",
            tolerable_loss=criterion.tolerable_loss,
            higher_is_better=self._directions(),
            weights=self.metric_weight,
        )

    def _directions(self) -> bool | list[bool]:
        """Per metric where INC judges each by itself, else the criterion's own."""
        if self.metric_weight is not None or len(self.metric_criterion) < 2:
            return bool(self.higher_is_better)
        # INC repeats the user's list once per metric (strategy.py `_set_objectives`).
        first = self.metric_criterion[0]
        return list(first if isinstance(first, (list, tuple)) else self.metric_criterion)

    def _read_data(self) -> CalibrationData:
        if self._data is None:
            # Compared with None: an empty dataloader of length 0 is false.
            loader = self.calib_dataloader
            if loader is None:
                loader = self.eval_dataloader
            self._data = read_calibration_data(loader, max(self.calib_sampling_size_lst))
        return self._data

    def _calibrated_once(self) -> CalibratedOnce:
        self._calibration.batch_done = lambda done, total: self._progress.doing(
            f"calibrating, batch {done} of {total}"
        )
        return CalibratedOnce(
            self.framework,
            self._calibration,
            mode=self._settings.calibration,
            folder=self._settings.calibration_cache,
            data_digest=self._read_data().digest,
        )

    def _search_space(self) -> SearchSpace:
        if self._space is None:
            # The base class's `_prepare_tuning` finds these set and does not make them again.
            if self.capability is None:
                self.capability: Any = self.adaptor.query_fw_capability(self.model)
            if self.tuning_space is None:
                self.tuning_space: Any = self.build_tuning_space(self.config)
            _, _, default = self.initial_tuning_cfg()
            self._space = build_search_space(
                self.tuning_space,
                approach=self.config.approach,
                framework=self.framework,
                default_config=default,
                sampling_sizes=self.calib_sampling_size_lst,
                graph_order=self._backend.graph_order(self._optimized_model()),
                request=SpaceRequest(
                    self._settings.search_space,
                    self._settings.locked_ops,
                    self._settings.excluded_ops,
                    self._settings.max_parameters,
                    getattr(self.config, "excluded_precisions", None) or (),
                ),
            )
        return self._space

    def _optimized_model(self) -> Any:
        # The adaptor's own fp32 rewrite is what carries the names of the quantizable ops.
        return getattr(self.adaptor, "pre_optimized_model", None) or self.model

    def _identity(self) -> dict[str, str]:
        criterion = self.config.accuracy_criterion
        return identity(
            model_fingerprint=self._model_fingerprint,
            batches=self._read_data().batches,
            timed_inputs=self._settings.latency_batch_size,
            search_space=self._search_space().describe(),
            criterion=f"{criterion.criterion} {criterion.tolerable_loss}, higher is better: "
            f"{self._directions()}, weights: {self.metric_weight}",
            latency="latency_func" if self._settings.latency_func else "timed",
            session_options=self._settings.onnxruntime_session_options,
            stored_metrics=self._stored_metrics.names,
            goal=self._settings.goal,
        )

    def _definition(self, bound: AccuracyBound, *, stores_noise: bool) -> Definition:
        settings, space = self._settings, self._search_space()
        return Definition(
            name=settings.sigopt_experiment_name,
            project_id=settings.sigopt_project_id,
            parameters={p.name: p.values for p in space.parameters},
            accuracy_threshold=None if settings.goal == PARETO else bound.target,
            accuracy_target=bound.target if settings.goal == PARETO else None,
            maximize_accuracy=bound.maximize,
            stored_metrics=self._stored_metrics.names,
            stores_noise=stores_noise,
            observation_budget=self._budget.max_trials,
            record={
                "identity": self._identity(),
                "search_space": space.describe(),
                # Not part of the identity: it follows from the model, and older runs lack it.
                **self._for_the_sampler(space, bound),
            },
            parallel_bandwidth=settings.parallel_bandwidth,
        )

    def _op_graph(self, space: SearchSpace) -> dict[str, Any]:
        graph = self._backend.op_graph(self._optimized_model(), space.ops)
        return parameter_graph(graph, {p.name: p.ops for p in space.parameters})

    def _restore_reference(self, meter: Meter) -> bool:
        """Latencies stay comparable: the reference is rebuilt, its first latency kept."""
        if self._experiment is None or self._settings.latency_func is not None:
            return False
        known = self._experiment.read_record().get("reference")
        if known is None:
            return False
        default = known["model"] == "default"
        model = self._rebuild(self._search_space().default) if default else None
        meter.set_reference(model, float(known["seconds"]))
        return True

    def _complete_record(self, experiment: Experiment, bound: AccuracyBound) -> None:
        """Add what the sampler uses and a SigOpt server did not keep."""
        record = experiment.read_record()
        if "op_graph" not in record:
            space = self._search_space()
            experiment.write_record({**record, **self._for_the_sampler(space, bound)})

    def _for_the_sampler(self, space: SearchSpace, bound: AccuracyBound) -> dict[str, Any]:
        return {"op_graph": self._op_graph(space), "baseline_accuracy": bound.baseline_scalar}

    @property
    def _output_dir(self) -> Path:
        return self._settings.output_dir or Path(options.workspace) / "sigopt"

    def _find_tuning_history(self, tune_cfg: Any) -> None:
        """Never: a hit would report another trial's result as this one's."""

    def _remove_redundant_qmodel(self) -> None:
        """INC clears its models before each trial; the winner is ours and stays."""
        self.last_qmodel = None

    def _recover_best_qmodel_from_tuning_cfg(self) -> None:
        """INC would quantize the best config again; the measured model itself is kept."""


register()
