"""The tuning loop, from the first suggestion to the model that is returned.

Start here. A suggestion names a value for each parameter; the host makes that model; it is
evaluated and timed; the observation tells the sampler. ``host`` is the seam to whoever owns the
model, ``run`` says which suggestion comes next and when it is enough, ``one_trial`` what is
measured of a model, ``ending`` which model is returned and what is written.
"""

from __future__ import annotations

import contextlib
import logging

from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.results.run_facts import marked_as_running
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended, end
from nc_sigopt_strategy.tuning.ending_signals import EndingSignals
from nc_sigopt_strategy.tuning.failures import show_users_code
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.live_page import LivePage
from nc_sigopt_strategy.tuning.preparation import Preparation
from nc_sigopt_strategy.tuning.run import Run
from nc_sigopt_strategy.tuning.start import begin

logger = logging.getLogger("nc_sigopt_strategy")

# What ends a run and no more; the caller finds it in what the run ended with.
_HANDED_BACK = (Exception, KeyboardInterrupt, SystemExit)


def tune(preparation: Preparation, budget: Budget) -> Ended:
    """Spend a budget on the search for the fastest model that meets the accuracy bound.

    Whatever ends the run early, Ctrl-C included, ends it in order: what is known by then is
    decided on and written. After SIGTERM or SIGHUP the process ends then; see ``EndingSignals``.
    What is meant to end more than the run (``asyncio.CancelledError``, what a test framework or a
    time limit of the user's own throws in) is raised again then.

    Args:
        preparation: What is tuned, how, and where the work is recorded; see ``prepare``.
        budget: Trials and time.

    Returns:
        The outcome, and the model that it names; no model if none met the bound.

    Raises:
        SettingsError: Another run is going on in the folder.
        SystemExit: After SIGTERM or SIGHUP, once everything is written.
        BaseException: Whatever else came that is no ``Exception``, once everything is written.
    """
    host, run, stopped = preparation.host, None, None
    with contextlib.ExitStack() as stack:
        stack.enter_context(EndingSignals())
        stack.enter_context(
            marked_as_running(preparation.folder, preparation.workplace.worker.name)
        )
        progress = stack.enter_context(_progress(preparation, budget))
        interrupts = stack.enter_context(InterruptWatch())
        try:
            stack.enter_context(host.session(progress.doing))
            run = Run(begin(preparation, budget, interrupts), budget, progress, interrupts)
            page = LivePage(preparation, budget)
            page.renew(run)
            for suggestion in run.suggestions():
                with run.trial(suggestion) as trial:
                    model = host.quantize(run.space.decode(suggestion.assignments))
                    if not trial.is_repeat_of_graph(model):
                        with trial.ends_early():
                            evaluation = host.evaluate(model)
                        trial.measured(model, evaluation)
                page.renew(run)
        except BaseException as error:
            stopped = error
            if not isinstance(error, KeyboardInterrupt):
                show_users_code(error)
                logger.error("Tuning ended early: %s", host.reason(error))
                logger.debug("Where it ended", exc_info=True)
        if run is not None:
            progress.deciding("timing the best models side by side")
        ended = end(preparation, run, stopped)
    if stopped is not None and not isinstance(stopped, _HANDED_BACK):
        raise stopped
    return ended


def _progress(preparation: Preparation, budget: Budget) -> TuningProgress:
    return TuningProgress(
        "sigopt",
        max_trials=budget.max_trials,
        timeout_seconds=budget.timeout_seconds or None,
        enabled=preparation.settings.progress,
    )
