"""The first things a run does to its folder and says to its user."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.files import make_private, write_whole
from nc_sigopt_strategy.results.run_facts import FACTS_FILE
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE, RECIPE_FILE, TRIALS_FILE
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.choices import PARETO
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.winners.front_files import FrontFiles
from nc_sigopt_strategy.winners.kept_models import BEST_MODEL

logger = logging.getLogger("nc_sigopt_strategy")

EXPERIMENT_FILE = "experiment.json"
_FILES = (EXPERIMENT_FILE, FACTS_FILE, OUTCOME_FILE, RECIPE_FILE, TRIALS_FILE)


def refuse_unusable(folder: Path) -> None:
    """See whether a run can leave its files in a folder, before anything is spent on it.

    Args:
        folder: Run folder, absolute; it need not be there.

    Raises:
        SettingsError: It is no folder, cannot be made or written, or holds a folder where a file
            is to be; or the folder that this process works in was deleted.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise SettingsError(
            "The folder that this process works in is gone.",
            "Change to one that is there, and start again.",
        ) from error
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    taken = [folder / name for name in _FILES] + sorted(folder.glob(f"{BEST_MODEL}.*"))
    blocked = next((path for path in taken if path.is_dir() and not path.is_symlink()), None)
    if not there.is_dir():
        what = "a link that leads nowhere" if there.is_symlink() else "no folder"
        problem = f"{there} is {what}"
    elif not os.access(there, os.W_OK | os.X_OK):
        problem = f"{there} cannot be written"
    elif blocked is not None:
        problem = f"{blocked.name} in it is a folder"
    else:
        return
    raise SettingsError(
        f"The run folder {folder} cannot be used: {problem}.", "Name another output_dir."
    )


def prepare_run_folder(folder: Path, backend: Backend, *, new: bool) -> None:
    """Make the run folder; for a new experiment take away the models of an earlier one.

    Args:
        folder: Run folder.
        backend: Of the models.
        new: Whether the experiment is begun and not continued.
    """
    make_private(folder)
    if new:
        # A winner of an earlier experiment must not be taken for one of this.
        for stale in (*folder.glob(f"{BEST_MODEL}.*"), folder / RECIPE_FILE):
            stale.unlink(missing_ok=True)
        FrontFiles(backend, folder).remove_others(())


def note_experiment(experiment: Experiment, worker: Worker, folder: Path) -> None:
    """Write which experiment a run works on, for whoever wants to join it.

    Args:
        experiment: The experiment.
        worker: Who works on it.
        folder: Run folder.
    """
    document = {"experiment_id": experiment.shown_id, "worker": worker.name}
    write_whole(folder / EXPERIMENT_FILE, json.dumps(document, indent=2) + "\n")


def announce(budget: Budget, first: TrialRecord, goal: str) -> None:
    """Say after the first trial how long the budget may last, and what it is spent on.

    Args:
        budget: Of the run.
        first: The first trial.
        goal: See ``Settings``.
    """
    seconds = first.ended_seconds - first.started_seconds
    limits = [f"{budget.max_trials} trials, about {budget.max_trials * seconds / 60:.0f} min"]
    if budget.timeout_seconds:
        limits.append(f"{budget.timeout_seconds:g} s")
    if goal == PARETO:
        logger.info("The budget is %s; it is spent on the front.", " or ".join(limits))
        return
    logger.info(
        "The budget is %s; the aim is the fastest model, so it is spent while more is expected. "
        'strategy_kwargs={"stop_at_first": True} stops at the first that meets the bound.',
        " or ".join(limits),
    )
