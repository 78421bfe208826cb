"""An Optuna study that is a picture of a history, for samplers to read and to scribble on."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

# No trial of a store has this id, so what is written to it cannot be meant for another one.
_ASKED_FOR = -1


def snapshot_study(
    name: str, directions: Sequence[str], trials: Sequence[FrozenTrial], number: int | None = None
) -> Study:
    """A study with these trials, apart from any database.

    What a sampler reads does not change under it, and what it writes is forgotten with the study.

    Args:
        name: The study's name.
        directions: ``minimize`` or ``maximize`` per objective.
        trials: Its trials, by ascending number; the sequence is kept.
        number: Of one more trial, which is running and has no parameters yet: the last one of
            the study. ``None`` for none.
    """
    asked_for = None if number is None else _running(number)
    storage = _Snapshot([StudyDirection[word.upper()] for word in directions], trials, asked_for)
    return Study(study_name=name, storage=storage, sampler=_NO_SAMPLER, pruner=_NO_PRUNER)


# The study would make ones of its own, which takes time and which nobody uses.
_NO_SAMPLER = RandomSampler(seed=0)
_NO_PRUNER = NopPruner()


def _running(number: int) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=_ASKED_FOR,
    )


class _Snapshot(InMemoryStorage):
    """Answers what a sampler asks; without a study of its own, which Optuna would announce.

    A sampler may also write: attributes of the study, and of the trial that it is asked for.
    """

    def __init__(
        self,
        directions: list[StudyDirection],
        trials: Sequence[FrozenTrial],
        asked_for: FrozenTrial | None,
    ) -> None:
        super().__init__()
        self._directions = directions
        self._asked_for = asked_for
        self._all = trials if asked_for is None else [*trials, asked_for]
        self._user_attrs: dict[str, Any] = {}
        self._system_attrs: dict[str, Any] = {}

    def get_study_id_from_name(self, study_name: str) -> int:
        return 0

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._user_attrs

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._user_attrs[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._system_attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._system_attrs[key] = value

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if self._asked_for is None or trial_id != _ASKED_FOR:
            return super().get_trial(trial_id)  # which says that there is none
        return self._asked_for

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.get_trial(trial_id).user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.get_trial(trial_id).system_attrs[key] = value

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        found: Any = self._all
        if states is not None:
            found = [trial for trial in self._all if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found
