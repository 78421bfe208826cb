"""Experiments, suggestions and observations as Optuna studies and trials.

An experiment or a project is a study that carries its description as a user attribute. A queued
suggestion is a WAITING trial, a suggestion a RUNNING one. Observing it finishes the trial
(COMPLETE, or FAIL for a failed observation); taking it back finishes it as FAIL with
``WITHDRAWN_ATTR``. An observation of given assignments, or a further one of the same suggestion,
is a finished trial of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import TrialState

from nc_sigopt_strategy.engine.database.database import MAX_ID, Database
from nc_sigopt_strategy.engine.database.journal import last_written
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.own_tables import SuggestionMetadata, Tags
from nc_sigopt_strategy.engine.database.run_tables import Runs
from nc_sigopt_strategy.engine.database.studies import Studies
from nc_sigopt_strategy.engine.database.trial_changes import Change, change_trials
from nc_sigopt_strategy.engine.database.trial_reader import attr_count, trial_count
from nc_sigopt_strategy.engine.database.trial_writer import Finish, finish_trial, start_trial
from nc_sigopt_strategy.engine.history.description import FORMAT_VERSIONS, ExperimentDescription
from nc_sigopt_strategy.engine.history.history import History
from nc_sigopt_strategy.engine.history.point import (
    OBSERVATION_ATTR,
    QUEUED_ATTR,
    SUGGESTION_ATTR,
    Point,
)
from nc_sigopt_strategy.errors import StoreError

JsonObject = dict[str, Any]

EXPERIMENT_ATTR = "experiment"
PROJECT_ATTR = "project"

# A system attribute, so that reading the user attributes for every request leaves this large
# document where it is.
RECORD_ATTR = "record"

# One history of 10,000 observations of 60 parameters takes about 65 MB, so this many values of
# parameters about 330 MB. The one in use is kept whatever it holds.
_HISTORIES_KEPT, _VALUES_KEPT = 256, 3_000_000
# A history of fewer values is read in a fraction of a second.
_LARGE_VALUES = 100_000
_DESCRIPTIONS_KEPT = 1024


@dataclass(frozen=True)
class StoredExperiment:
    """An experiment and where it is.

    Attributes:
        id: Its id, and its study's.
        study_name: Unique for ever, while SQLite gives ids of deleted studies to new ones.
        experiment: Its description.
    """

    id: int
    study_name: str
    experiment: ExperimentDescription


class Store:
    """The engine's only access to the database. Threads may share it.

    Args:
        location: Where it is.
        storage: Optuna's storage there, opened by ``open_storage``; it is closed with the store.
    """

    def __init__(self, location: Location, storage: RDBStorage) -> None:
        self.location = location
        self._storage = storage
        in_memory = location.is_sqlite and location.path is None
        self._database = Database(storage.engine, in_memory=in_memory, check=location.watch())
        self._studies = Studies(self._database)
        self._metadata = SuggestionMetadata(self._database)
        self.tags = Tags(self._database)
        self.runs = Runs(self._database)
        self._lock = threading.Lock()
        self._large = threading.Lock()
        self._parsed: OrderedDict[int, tuple[str, ExperimentDescription]] = OrderedDict()
        self._histories: OrderedDict[int, History] = OrderedDict()

    def close(self) -> None:
        """Close all connections; SQLite then folds the write-ahead log into the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def check(self) -> None:
        """Read something; raises what the database raises."""
        self._studies.any()

    # Experiments and projects

    def create_study(self, name: str, directions: list[str], attr: str, value: JsonObject) -> int:
        """Create a study and describe it, both or neither.

        Raises:
            optuna.exceptions.DuplicatedStudyError: The name is taken.
        """
        return self._studies.create(name, directions, attr, value)

    def create_experiment(self, experiment: ExperimentDescription) -> int:
        """Create an experiment and return its id."""
        return self._studies.create(
            f"experiment:{uuid.uuid4()}",
            experiment.directions,
            EXPERIMENT_ATTR,
            experiment.to_stored(),
        )

    def experiment(self, study_id: int) -> StoredExperiment | None:
        """The experiment with this id; ``None`` if there is none."""
        if study_id > MAX_ID:
            return None
        found = self._studies.user_attr(study_id, EXPERIMENT_ATTR)
        if found is None:
            return None
        name, text = found
        return StoredExperiment(study_id, name, self._read(study_id, text))

    def experiments(self) -> list[StoredExperiment]:
        """All experiments, deleted ones included, oldest first."""
        return [
            StoredExperiment(study_id, name, self._read(study_id, text))
            for study_id, name, text in self._studies.with_user_attr(EXPERIMENT_ATTR)
        ]

    def change_experiment(
        self,
        stored: StoredExperiment,
        change: Callable[[ExperimentDescription], ExperimentDescription],
    ) -> StoredExperiment:
        """Change the description of an experiment, whatever else is changed in it meanwhile.

        Args:
            stored: The experiment; it must exist.
            change: Makes the new description of the present one. It is called again when another
                writer was faster, so what that wrote is kept.
        """

        def changed(text: str) -> JsonObject:
            return change(self._read(stored.id, text)).to_stored()

        text = self._change(stored.id, EXPERIMENT_ATTR, changed)
        return dataclasses.replace(stored, experiment=self._read(stored.id, text))

    def projects(self) -> dict[str, tuple[int, JsonObject]]:
        """Project id to study id and description, oldest first."""
        found: dict[str, tuple[int, JsonObject]] = {}
        for study_id, _, text in self._studies.with_user_attr(PROJECT_ATTR):
            stored = json.loads(text)
            found[stored["id"]] = (study_id, stored)
        return found

    def project_at(self, study_name: str) -> tuple[int, JsonObject | None]:
        """The id of the study with this name, which must exist, and the project it is.

        The project is ``None`` if the study has not been described.
        """
        study_id = self._studies.id_of(study_name)
        text = self._studies.user_attr(study_id, PROJECT_ATTR)
        return study_id, None if text is None else json.loads(text[1])

    def save_project(self, study_id: int, stored: JsonObject) -> None:
        """Describe a project whose study has no description."""
        self._studies.set_user_attr(study_id, PROJECT_ATTR, stored)

    def change_project(
        self, study_id: int, change: Callable[[JsonObject], JsonObject]
    ) -> JsonObject:
        """Change the description of a project; see ``change_experiment``."""
        text = self._change(study_id, PROJECT_ATTR, lambda text: change(json.loads(text)))
        return dict(json.loads(text))

    def last_changes(self) -> Mapping[int, int]:
        """Study id to when its observations last changed, in unix seconds, where they did."""
        return last_written(self._database)

    def record(self, study_id: int) -> Any:
        """The document kept with an experiment; ``None`` if there is none."""
        return self._studies.system_attr(study_id, RECORD_ATTR)

    def save_record(self, study_id: int, record: Any) -> None:
        """Replace the document kept with an experiment."""
        self._studies.set_system_attr(study_id, RECORD_ATTR, record)

    # Suggestions and observations

    def history(self, stored: StoredExperiment, *, refresh: bool = True) -> History:
        """The points of an experiment, as of now or, without ``refresh``, as last read."""
        with self._lock:
            history = self._histories.get(stored.id)
            known = history is not None and _fits(history, stored)
        if history is None or not known:
            # New, or its bounds were changed, or SQLite has given the id of a deleted study to
            # this one.
            history = History(self._database, stored.id, stored.study_name, stored.experiment)
        with self._lock:
            if known:
                self._histories[stored.id] = history
            else:
                # Another thread may have been faster, and one must do for all.
                other = self._histories.get(stored.id)
                if other is not None and _fits(other, stored):
                    history = other
                self._histories[stored.id] = history
            self._histories.move_to_end(stored.id)
        if refresh:
            with self._room_for(history):
                history.refresh()
        self._forget_oldest()
        return history

    def observation_count(self, stored: StoredExperiment) -> int:
        """How many observations an experiment has, without reading any."""
        return attr_count(self._database, stored.id, OBSERVATION_ATTR)

    def add(
        self,
        history: History,
        assignments: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        finish: Finish | None = None,
        *,
        waiting: bool = False,
        only_as: int | None = None,
    ) -> Point:
        """Add a trial in one transaction: open, waiting, or finished when ``finish`` is given.

        Raises:
            OvertakenError: It would get another number than ``only_as``.
        """
        state = TrialState.WAITING if waiting else TrialState.RUNNING
        trial_id, number, finish = history.template.insert(
            self._database, history.study_id, assignments, user_attrs, state, finish, only_as
        )
        attrs = {**user_attrs, **(finish.user_attrs if finish else {})}
        return Point(
            id=trial_id,
            number=number,
            assignments=assignments,
            suggestion=attrs.get(SUGGESTION_ATTR),
            observation=attrs.get(OBSERVATION_ATTR),
            withdrawn=False,
            queued=attrs.get(QUEUED_ATTR) if waiting else None,
            running=finish is None and not waiting,
        )

    def finish(self, history: History, point: Point, finish: Finish) -> Point | None:
        """Finish a trial in one transaction, so that a crash leaves it as it was or done.

        Returns:
            What has become of it; ``None`` if it was not open (or waiting) any more: somebody
            else was faster.
        """
        state = TrialState.RUNNING if point.queued is None else TrialState.WAITING
        ended = finish_trial(self._database, history.study_id, point.id, finish, state)
        if ended is None:
            return None
        observation = ended.user_attrs.get(OBSERVATION_ATTR)
        return dataclasses.replace(point, observation=observation, running=False)

    def change(self, history: History, changes: Sequence[Change]) -> None:
        """Change trials that have ended, all of them or none.

        Raises:
            OvertakenError: Another process has changed one since ``history`` was read.
        """
        change_trials(self._database, history.study_id, changes)

    def start(self, point: Point, user_attrs: Mapping[str, Any]) -> bool:
        """Make a queued suggestion an open one.

        Returns:
            False if it was not queued any more.
        """
        return start_trial(self._database, point.id, user_attrs)

    def metadata(self, history: History, points: Sequence[Point]) -> dict[int, JsonObject | None]:
        """Suggestion id to metadata, for those of ``points`` whose metadata was changed."""
        return self._metadata.read(history.study_name, {point.id for point in points})

    def save_metadata(self, history: History, point: Point, metadata: JsonObject | None) -> None:
        """Replace the metadata of a suggestion."""
        self._metadata.write(history.study_name, point.id, metadata)

    def _room_for(self, history: History) -> AbstractContextManager[Any]:
        """Where to read a history: large ones that are new are read one at a time.

        Otherwise as many as there are threads could be in memory before the oldest is forgotten.
        """
        if history.is_read:
            return contextlib.nullcontext()
        count = trial_count(self._database, history.study_id)
        if count * len(history.space) < _LARGE_VALUES:
            return contextlib.nullcontext()
        return self._large

    def _forget_oldest(self) -> None:
        with self._lock:
            held = sum(kept.size for kept in self._histories.values())
            while len(self._histories) > 1 and (
                held > _VALUES_KEPT or len(self._histories) > _HISTORIES_KEPT
            ):
                _, oldest = self._histories.popitem(last=False)
                held -= oldest.size

    def _change(self, study_id: int, attr: str, change: Callable[[str], JsonObject]) -> str:
        while True:
            # Each turn that is lost is one that another writer won, so this comes to an end.
            _, before = self._studies.user_attr(study_id, attr) or ("", "")
            after = change(before)
            if self._studies.replace_user_attr(study_id, attr, before, after):
                return json.dumps(after)

    def _read(self, study_id: int, text: str) -> ExperimentDescription:
        with self._lock:
            known = self._parsed.get(study_id)
            if known is not None and known[0] == text:
                self._parsed.move_to_end(study_id)
                return known[1]
        stored = json.loads(text)
        if stored.get("format") not in FORMAT_VERSIONS:
            raise StoreError(
                f"An experiment in the store {self.location.display} has format "
                f"{stored.get('format')}, this version reads up to {FORMAT_VERSIONS[-1]}.",
                "Update this package, or name another store.",
            )
        experiment = ExperimentDescription.from_stored(stored)
        with self._lock:
            self._parsed[study_id] = (text, experiment)
            self._parsed.move_to_end(study_id)
            if len(self._parsed) > _DESCRIPTIONS_KEPT:
                self._parsed.popitem(last=False)
        return experiment


def _fits(history: History, stored: StoredExperiment) -> bool:
    """Whether a history is that of an experiment as it is now."""
    same = history.study_name == stored.study_name
    return same and history.parameters == stored.experiment.parameters
