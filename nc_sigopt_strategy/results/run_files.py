"""The files that a run leaves in its folder, and the last outcome of this process."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.files import parse_json, read_json, write_whole
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord

logger = logging.getLogger("nc_sigopt_strategy")

_last: list[Outcome] = []


def last_outcome() -> Outcome | None:
    """What the last run in this process ended with; ``fit`` itself returns a model only."""
    return _last[-1] if _last else None


def set_last_outcome(outcome: Outcome) -> None:
    """Make an outcome the one that ``last_outcome`` returns."""
    _last[:] = [outcome]


OUTCOME_FILE = "outcome.json"
TRIALS_FILE = "trials.jsonl"
RECIPE_FILE = "recipe.json"


def write_outcome(outcome: Outcome, folder: Path) -> Path:
    """Write ``outcome.json`` into ``folder`` and return its path."""
    return write_whole(folder / OUTCOME_FILE, json.dumps(outcome.to_json(), indent=2) + "\n")


def publish(outcome: Outcome, folder: Path, writers: Mapping[str, Callable[[], Path]]) -> Outcome:
    """Make an outcome the last one and write its files; a full disk is part of the outcome.

    The outcome is written before the other files, which matter less, and once more after them.

    Args:
        outcome: What the run ended with.
        folder: Run folder.
        writers: Name in ``Outcome.files`` to what writes that file and returns its path; what
            matters most first.

    Returns:
        The outcome with the files that were written, and what could not be in its stop reason.
    """
    problems: list[str] = []
    written = _written(outcome, folder, problems)
    files = dict(outcome.files)
    for name, write in writers.items():
        try:
            files[name] = write().name
        except OSError as error:
            problems.append(f"The {name} could not be written: {error}.")
    files["outcome"] = OUTCOME_FILE
    reason = " ".join([outcome.stop_reason, *problems])
    outcome = dataclasses.replace(outcome, files=files, stop_reason=reason)
    set_last_outcome(outcome)
    _written(outcome, folder, [] if written else problems)
    for problem in dict.fromkeys(problems):
        logger.error("%s", problem)
    return outcome


def _written(outcome: Outcome, folder: Path, problems: list[str]) -> bool:
    try:
        write_outcome(outcome, folder)
    except OSError as error:
        problems.append(f"The outcome could not be written: {error}.")
        return False
    return True


def write_recipe(recipe: Mapping[str, Any], folder: Path) -> Path:
    """Write ``recipe.json`` into ``folder`` and return its path.

    Args:
        recipe: See ``Host.recipe``.
        folder: Run folder.
    """
    return write_whole(folder / RECIPE_FILE, json.dumps(recipe, indent=2) + "\n")


def read_outcome(folder: Path) -> Outcome:
    """Read ``outcome.json`` of a run folder."""
    return Outcome.from_json(read_json(folder / OUTCOME_FILE))


def write_trials(trials: Iterable[TrialRecord], folder: Path) -> Path:
    """Write ``trials.jsonl``, one trial a line, and return its path."""
    lines = (json.dumps(trial.to_json(), sort_keys=True) + "\n" for trial in trials)
    return write_whole(folder / TRIALS_FILE, "".join(lines))


def read_trials(folder: Path) -> list[TrialRecord]:
    """Read ``trials.jsonl`` of a run folder, in file order."""
    text = (folder / TRIALS_FILE).read_text(encoding="utf-8")
    return [TrialRecord.from_json(parse_json(line)) for line in text.splitlines() if line]
