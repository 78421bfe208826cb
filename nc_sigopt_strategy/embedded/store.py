"""Experiments, suggestions and observations as Optuna studies and trials.

An experiment or a project is a study that carries its description as a user attribute. A
suggestion is a RUNNING trial. Observing it finishes the trial (COMPLETE, or FAIL for a failed
observation); taking it back finishes it as FAIL with ``WITHDRAWN_ATTR``. An observation of given
assignments, or a further one of the same suggestion, is a finished trial of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.embedded.location import Location
from nc_sigopt_strategy.embedded.model import FORMAT_VERSION, Experiment
from nc_sigopt_strategy.embedded.opening import open_storage, quiet_optuna
from nc_sigopt_strategy.embedded.tables import Finish, finish_trial, insert_trial
from nc_sigopt_strategy.errors import StoreError
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR

JsonObject = dict[str, Any]

EXPERIMENT_ATTR = "experiment"
PROJECT_ATTR = "project"
SUGGESTION_ATTR = "suggestion"
OBSERVATION_ATTR = "observation"
METADATA_ATTR_PREFIX = "suggestion-metadata:"

# A system attribute, so that reading the user attributes for every request leaves this large
# document where it is.
RECORD_ATTR = "record"


@dataclass(frozen=True)
class Point:
    """One trial, seen with SigOpt's eyes.

    Attributes:
        id: Of the suggestion, of the observation, or of both; unique in the store.
        number: Position in the experiment, from 0.
        assignments: Parameter name to value.
        suggestion: ``created`` and ``metadata``; ``None`` if it never was a suggestion.
        observation: ``created``, ``failed``, ``values``, ``metadata`` and ``suggestion``;
            ``None`` while open.
        withdrawn: Whether the suggestion was deleted.
    """

    id: int
    number: int
    assignments: Mapping[str, Any]
    suggestion: JsonObject | None
    observation: JsonObject | None
    withdrawn: bool

    @property
    def is_open(self) -> bool:
        """Whether it is a suggestion that waits for its observation."""
        return self.observation is None and not self.withdrawn


class Store:
    """The engine's only access to the database. Not thread-safe: the driver takes turns.

    Args:
        storage_url: Database URL.

    Raises:
        StoreError: See ``open_storage``.
    """

    def __init__(self, storage_url: str) -> None:
        self.location = Location(storage_url)
        self._backend = open_storage(self.location)
        self._cached = optuna.storages.get_storage(self._backend)

    def close(self) -> None:
        """Close all connections; SQLite then folds the write-ahead log into the file."""
        self._backend.remove_session()
        self._backend.engine.dispose()

    # Experiments and projects

    def create_study(self, name: str, directions: list[str], attr: str, value: JsonObject) -> int:
        """Create a study and describe it.

        A crash between the two leaves a study without a description, which no list shows.

        Raises:
            optuna.exceptions.DuplicatedStudyError: The name is taken.
        """
        with quiet_optuna():
            study_id = self._cached.create_new_study(
                [StudyDirection[direction.upper()] for direction in directions], name
            )
        self._cached.set_study_user_attr(study_id, attr, value)
        return study_id

    def experiment(self, study_id: int) -> Experiment | None:
        """The experiment with this id; ``None`` if there is none."""
        stored = self.study_attrs(study_id).get(EXPERIMENT_ATTR)
        return None if stored is None else self._read(stored)

    def experiments(self) -> dict[int, Experiment]:
        """All experiments by id, deleted ones included, oldest first."""
        return {
            study._study_id: self._read(study.user_attrs[EXPERIMENT_ATTR])
            for study in self._cached.get_all_studies()
            if EXPERIMENT_ATTR in study.user_attrs
        }

    def save_experiment(self, study_id: int, experiment: Experiment) -> None:
        """Replace the description of an experiment."""
        self.set_study_attr(study_id, EXPERIMENT_ATTR, experiment.to_stored())

    def projects(self) -> dict[str, tuple[int, JsonObject]]:
        """Project id to study id and description, oldest first."""
        return {
            study.user_attrs[PROJECT_ATTR]["id"]: (study._study_id, study.user_attrs[PROJECT_ATTR])
            for study in self._cached.get_all_studies()
            if PROJECT_ATTR in study.user_attrs
        }

    def study_id(self, name: str) -> int:
        """The id of the study with this name, which must exist."""
        return self._cached.get_study_id_from_name(name)

    def study_attrs(self, study_id: int) -> JsonObject:
        """The user attributes of a study; empty if there is no such study."""
        try:
            return self._cached.get_study_user_attrs(study_id)
        except KeyError:
            return {}

    def set_study_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set a user attribute of a study."""
        self._cached.set_study_user_attr(study_id, key, value)

    def record(self, study_id: int) -> Any:
        """The document kept with an experiment; ``None`` if there is none."""
        return self._cached.get_study_system_attrs(study_id).get(RECORD_ATTR)

    def save_record(self, study_id: int, record: Any) -> None:
        """Replace the document kept with an experiment."""
        self._cached.set_study_system_attr(study_id, RECORD_ATTR, record)

    def study(self, study_id: int) -> optuna.Study:
        """The study itself, for a sampler to read. Its history is as of its first use."""
        return optuna.load_study(
            study_name=self._cached.get_study_name_from_id(study_id), storage=self._cached
        )

    def _read(self, stored: JsonObject) -> Experiment:
        if stored.get("format") != FORMAT_VERSION:
            raise StoreError(
                f"An experiment in the store {self.location.display} has format "
                f"{stored.get('format')}, this version reads {FORMAT_VERSION}.",
                "Update this package, or name another store.",
            )
        return Experiment.from_stored(stored)

    # Suggestions and observations

    def points(self, study_id: int) -> list[Point]:
        """All points of an experiment, in the order they were made."""
        return [
            _from_trial(trial) for trial in self._cached.get_all_trials(study_id, deepcopy=False)
        ]

    def add(
        self,
        study_id: int,
        experiment: Experiment,
        assignments: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        finish: Finish | None = None,
    ) -> Point:
        """Add a trial in one transaction: open, or finished when ``finish`` is given."""
        trial_id, number = insert_trial(
            self._backend.engine,
            study_id,
            assignments,
            experiment.search_space(),
            user_attrs,
            finish,
        )
        attrs = {**user_attrs, **(finish.user_attrs if finish else {})}
        return _point(trial_id, number, assignments, attrs)

    def finish(self, point: Point, finish: Finish) -> bool:
        """Finish an open trial in one transaction, so that a crash leaves it open or done.

        Returns:
            False if it was not open any more: somebody else finished it first.
        """
        return finish_trial(self._backend.engine, point.id, finish)


def _from_trial(trial: FrozenTrial) -> Point:
    return _point(trial._trial_id, trial.number, trial.params, trial.user_attrs)


def _point(
    trial_id: int, number: int, assignments: Mapping[str, Any], attrs: Mapping[str, Any]
) -> Point:
    return Point(
        id=trial_id,
        number=number,
        assignments=assignments,
        suggestion=attrs.get(SUGGESTION_ATTR),
        observation=attrs.get(OBSERVATION_ATTR),
        withdrawn=WITHDRAWN_ATTR in attrs,
    )
