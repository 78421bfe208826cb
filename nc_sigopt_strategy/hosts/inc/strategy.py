"""``SigOptTuneStrategy``: where INC hands over.

INC builds the strategy and calls ``traverse``; from there on the loop is ours (``tuning.loop``)
and INC is one of its hosts. Two facts of INC's ``fit`` shape what is here (checked in 2.6 and
3.7.1): it swallows whatever ``traverse`` raises, so what a user has to see is raised by the
constructor; and it quantizes the best configuration again, where here the very model that was
measured is returned.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neural_compressor.config import options
from neural_compressor.strategy.strategy import STRATEGIES, TuneStrategy

from nc_sigopt_strategy.backends.find import inputs_of
from nc_sigopt_strategy.console.log_file import LOG_FILE, OffScreen
from nc_sigopt_strategy.hosts.fed_loader import fed
from nc_sigopt_strategy.hosts.inc.config_checks import (
    check_criterion,
    check_measurable,
    check_objective,
    check_recipes,
)
from nc_sigopt_strategy.hosts.inc.fit_hooks import absolute_workspace, no_exit
from nc_sigopt_strategy.hosts.inc.inc_host import IncHost
from nc_sigopt_strategy.hosts.inc.keras_models import came_from_keras
from nc_sigopt_strategy.hosts.inc.sealed_kwargs import revealed, seal
from nc_sigopt_strategy.measurement.feeding import Feeder
from nc_sigopt_strategy.measurement.per_input import heard
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending_signals import EndingSignals
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare

logger = logging.getLogger("nc_sigopt_strategy")

# ``fit`` asks for the model once to log what came of it, and once to return it.
_TIMES_ASKED = 2


class SigOptTuneStrategy(TuneStrategy):  # type: ignore[misc]  # INC ships no types
    """INC's tuning strategy of the name "sigopt"; INC builds it, users name it.

    Minimizes latency with accuracy as a constraint. Takes its settings from
    ``TuningCriterion(strategy_kwargs=...)``; see ``Settings``.

    Raises:
        SigOptStrategyError: From the constructor: wrong settings, an unreachable server, a store
            that cannot be used, an experiment that cannot be continued.
    """

    def __init__(
        self,
        model: Any,
        conf: Any,
        q_dataloader: Any = None,
        *args: Any,
        eval_func: Any = None,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        criterion = conf.quantization.tuning_criterion
        settings = Settings.from_kwargs(revealed(criterion.strategy_kwargs))
        check_criterion(criterion)
        check_objective(criterion)
        check_recipes(conf.quantization.recipes)
        seal(criterion)
        settings = _with_absolute_paths(settings)
        framework = conf.quantization.framework
        q_loader, eval_loader = (
            fed(loader, lambda: Feeder(inputs_of(framework, model)))
            for loader in (q_dataloader, eval_dataloader)
        )
        if eval_func is not None and came_from_keras(model):
            # Not at the top: it needs TensorFlow, and ONNX models do not.
            from nc_sigopt_strategy.hosts.inc.keras_like import presented

            eval_func = presented(eval_func, model)
        named = {**kwargs, "eval_func": heard(eval_func), "eval_dataloader": eval_loader}
        tunes = eval_func is not None or None not in (eval_loader, kwargs.get("eval_metric"))
        with absolute_workspace(), no_exit("looked at the model"):
            folder = settings.output_dir or Path(options.workspace) / "sigopt"
            self._log = _log_of_inc(folder) if tunes and not settings.show_inc_log else None
            try:
                super().__init__(model, conf, q_loader, *args, **named)
                self._prepare(criterion, settings, folder)
            except BaseException:
                self._end_log()
                raise

    def _prepare(self, criterion: Any, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._winner: Any = None
        self._asked = 0
        self._ends: BaseException | None = None
        self._timeout_seconds = float(criterion.timeout)
        self._preparation = None
        self._workspace = options.workspace
        if self._not_tuning:
            return
        if getattr(self.config, "diagnosis", None):
            # It would put the baseline off until after the first trial, and the bound with it.
            logger.warning("diagnosis=True is not supported by the sigopt strategy; it is off.")
            self.diagnosis_done = True
        # First: INC's adaptor changes the graph in place when it queries its capabilities.
        host = IncHost(self, settings)
        check_measurable(settings, self.calib_dataloader, self.eval_dataloader)
        self._preparation = prepare(
            host,
            settings,
            folder=folder,
            seed=options.random_seed if settings.seed is None else settings.seed,
        )
        # INC reads the timeout again when it enters its own time limit, right after this
        # constructor; ours replaces it, and traverse puts the user's value back.
        criterion.timeout = 0

    def traverse(self) -> None:
        """Tune until the budget is spent, or quantize once where there is nothing to evaluate."""
        if self._preparation is None:
            super().traverse()
            return
        criterion = self.config.tuning_criterion
        criterion.timeout = self._timeout_seconds
        budget = Budget(criterion.max_trials, self._timeout_seconds, self._settings.stop_at_first)
        signals = EndingSignals()
        try:
            with signals, absolute_workspace(self._workspace):
                self._winner = tune(self._preparation, budget).model
        except BaseException as error:
            if signals.came or not isinstance(error, (Exception, KeyboardInterrupt)):
                self._ends = error
            raise

    def next_tune_cfg(self) -> Iterator[Any]:
        """INC's default configuration, for its own ``traverse`` where nothing is tuned."""
        _, _, config = self.initial_tuning_cfg()
        config["calib_sampling_size"] = self.calib_sampling_size_lst[0]
        yield config

    def get_best_qmodel(self) -> Any:
        """The winner, which is the very model that was measured; ``None`` if there is none.

        Raises:
            BaseException: ``SystemExit`` after SIGTERM or SIGHUP, and whatever else is meant to
                end more than the run. ``fit`` swallows what ``traverse`` raises and
                returns from a ``finally``; only what is raised in there comes out of it.
        """
        if self._ends is not None:
            self._end_log()
            raise self._ends
        self._asked += 1
        if self._asked == _TIMES_ASKED:
            self._end_log()
        return super().get_best_qmodel() if self._preparation is None else self._winner

    def _end_log(self) -> None:
        if self._log is not None:
            self._log.give_back()


def _log_of_inc(folder: Path) -> OffScreen:
    """INC logs hundreds of lines of each run, among which ours would be lost."""
    log = OffScreen(folder / LOG_FILE)
    if log.path is not None:
        logger.info(
            "What Neural Compressor logs is in %s; show_inc_log=True leaves it here.", log.path
        )
    return log


def _with_absolute_paths(settings: Settings) -> Settings:
    """The user's functions may change the working folder, and a run writes all along."""
    folder, cache = settings.output_dir, settings.calibration_cache
    return dataclasses.replace(
        settings,
        output_dir=None if folder is None else folder.absolute(),
        calibration_cache=None if cache is None else cache.absolute(),
    )


# INC's own decorator refuses a name that is taken, and INC 2.6 brings a "sigopt" of its own.
STRATEGIES["sigopt"] = SigOptTuneStrategy
