"""The models of the Pareto front as files: ``front/trial_0007.pb`` and its recipe beside it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.results.trial_record import TrialRecord

logger = logging.getLogger("nc_sigopt_strategy")

FRONT_FOLDER = "front"
_OURS = re.compile(r"trial_(\d{4,})\.(pb|onnx|json)")

Recipe = Callable[[TrialRecord], Mapping[str, Any]]


class FrontFiles:
    """What of the front is on disk; a full disk costs files, not the run.

    Args:
        backend: Writes models.
        run_folder: Its folder ``front`` holds the files.
    """

    def __init__(self, backend: Backend, run_folder: Path) -> None:
        self._backend = backend
        self._folder = run_folder / FRONT_FOLDER
        self._written: set[int] = set()
        self.save_error: str | None = None

    def save(self, number: int, model: Any) -> None:
        """Write the model of a trial, unless this process has done so before."""
        if number in self._written:
            return
        path = self._folder / f"{_stem(number)}{self._backend.model_suffix}"
        try:
            self._backend.save(model, path)
        except OSError as error:
            self._note(f"The model of trial {number} could not be saved: {error}.")
            return
        self._written.add(number)

    def model_path(self, number: int) -> str | None:
        """Where the model of a trial lies, relative to the run folder, if it was written."""
        if number not in self._written:
            return None
        return f"{FRONT_FOLDER}/{_stem(number)}{self._backend.model_suffix}"

    def remove_others(self, numbers: Iterable[int]) -> None:
        """Delete the files of trials that are not, or no longer, on the front."""
        wanted = set(numbers)
        self._written &= wanted
        for path in self._folder.glob("trial_*"):
            ours = _OURS.fullmatch(path.name)
            if ours and int(ours.group(1)) not in wanted:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    self._note(f"{path} could not be deleted: {error}.")

    def write_recipes(self, front: Sequence[TrialRecord], recipe: Recipe) -> None:
        """Write the recipe of each trial on the front.

        Args:
            front: The trials.
            recipe: What rebuilds a trial's model, see ``Host.recipe``.
        """
        for trial in front:
            text = json.dumps(recipe(trial), indent=2) + "\n"
            try:
                write_whole(self._folder / f"{_stem(trial.number)}.json", text)
            except OSError as error:
                self._note(f"The recipe of trial {trial.number} could not be written: {error}.")

    def _note(self, problem: str) -> None:
        self.save_error = problem
        logger.error("%s", problem)


def _stem(number: int) -> str:
    return f"trial_{number:04d}"
