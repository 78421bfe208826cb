"""An Optuna study that is a picture of a history, for samplers to read."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def snapshot_study(
    name: str, directions: Sequence[str], trials: list[FrozenTrial]
) -> optuna.Study:
    """A study with these trials, apart from any database.

    Samplers only read, and what they read does not change under them.

    Args:
        name: The study's name.
        directions: ``minimize`` or ``maximize`` per objective.
        trials: Its trials, by ascending number; the list is kept.
    """
    storage = _Snapshot([StudyDirection[word.upper()] for word in directions], trials)
    return optuna.Study(study_name=name, storage=storage, sampler=_NO_SAMPLER, pruner=_NO_PRUNER)


# The study would make ones of its own, which takes time and which nobody uses.
_NO_SAMPLER = optuna.samplers.RandomSampler(seed=0)
_NO_PRUNER = optuna.pruners.NopPruner()


class _Snapshot(InMemoryStorage):
    """Answers what a sampler asks; without a study of its own, which Optuna would announce."""

    def __init__(self, directions: list[StudyDirection], trials: list[FrozenTrial]) -> None:
        super().__init__()
        self._directions = directions
        self._all = trials

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        found: list[Any] = self._all
        if states is not None:
            found = [trial for trial in self._all if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found
