"""All that a page needs of a run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ReportError
from nc_sigopt_strategy.files import read_json
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_facts import RunFacts, read_facts
from nc_sigopt_strategy.results.run_files import (
    OUTCOME_FILE,
    TRIALS_FILE,
    read_outcome,
    read_trials,
)
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.space.ops import least_precise_first, type_of

COMMAND_FILE = "command.json"
# What a reader may want to open, in this order, and what it is.
FILES = {
    "best_model*": "the best model",
    "recipe.json": "rebuilds the model without tuning",
    "outcome.json": "how the run ended",
    "trials.jsonl": "a line per trial",
    "run.json": "what was tuned, with which versions",
    "log.txt": "what was logged",
    "front/*": "a model of the front, or its recipe",
}


@dataclass(frozen=True)
class RunRecord:
    """A run.

    Attributes:
        folder: Run folder; links on the page are relative to it.
        outcome: How it ended.
        trials: All of them, by number.
        facts: What was written when it started; ``None`` for runs of earlier versions.
        command: The command line that started it, if that was ``nc-sigopt``.
        runtimes: Lines on the models of several runtimes, where there were several.
        running: Whether it goes on, and the outcome is what there is of one so far.
        ops: Per trial, op name to the label of its type.
    """

    folder: Path
    outcome: Outcome
    trials: tuple[TrialRecord, ...]
    facts: RunFacts | None = None
    command: str = ""
    runtimes: tuple[str, ...] = ()
    running: bool = False
    ops: tuple[Mapping[str, str], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", tuple(self._ops_of(trial) for trial in self.trials))

    @property
    def title(self) -> str:
        """The model, and what ran it."""
        name = self.outcome.model or self.folder.name
        return f"{name} on {self.outcome.runtime}" if self.outcome.runtime else name

    @property
    def op_names(self) -> list[str]:
        """All ops that any trial chose a type for, in the order of the search space."""
        return list(dict.fromkeys(name for chosen in self.ops for name in chosen))

    @property
    def labels(self) -> list[str]:
        """All types that any op of any trial has, from least to most precise."""
        found = sorted({label for chosen in self.ops for label in chosen.values()})
        return list(least_precise_first({label: type_of(label) for label in found}))

    def files(self) -> dict[str, str]:
        """Path of each file that there is, relative to the folder, to what it is."""
        return {
            path.relative_to(self.folder).as_posix(): meaning
            for pattern, meaning in FILES.items()
            for path in sorted(self.folder.glob(pattern))
            if path.is_file()
        }

    def _ops_of(self, trial: TrialRecord) -> Mapping[str, str]:
        """Without the facts a parameter's name is the best there is."""
        if self.facts is None or not trial.assignments:
            return dict(trial.assignments)
        return self.facts.ops_of(trial.assignments)


def read_run(folder: Path) -> RunRecord:
    """The run of a folder.

    Raises:
        ReportError: The folder holds no run that has ended, or files that cannot be read.
    """
    if not (folder / OUTCOME_FILE).is_file():
        what = "is no folder" if not folder.is_dir() else f"holds no {OUTCOME_FILE}"
        raise ReportError(
            f"There is no run to report on: {folder} {what}.",
            "Name the folder of a run that has ended; nc-sigopt runs lists those of this folder.",
        )
    try:
        outcome = read_outcome(folder)
        trials = read_trials(folder) if (folder / TRIALS_FILE).is_file() else []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ReportError(
            f"The run in {folder} cannot be read: {type(error).__name__}: {error}.",
            "Its files are not whole, or of a version that is not known here.",
        ) from error
    return run_record(folder, outcome, trials)


def run_record(
    folder: Path, outcome: Outcome, trials: Sequence[TrialRecord], *, running: bool = False
) -> RunRecord:
    """A run whose outcome and trials are known, with what else its folder says.

    Args:
        folder: Run folder.
        outcome: How it ended, or what there is of that so far.
        trials: All of them, in any order.
        running: Whether it goes on.
    """
    return RunRecord(
        folder, outcome, tuple(sorted(trials, key=lambda t: t.number)), read_facts(folder),
        _command_of(folder), running=running,
    )  # fmt: skip


def _command_of(folder: Path) -> str:
    for place in (folder, folder.parent):
        try:
            raw: Any = read_json(place / COMMAND_FILE)
            return str(raw["command"])
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return ""
