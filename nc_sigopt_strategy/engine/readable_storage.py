"""The store as optuna-dashboard shows it: experiments by name, what was observed in plain words.

Nothing of it is written: studies and trials are made readable as they are read.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_strategy.engine.database.optuna_tables import study_id
from nc_sigopt_strategy.engine.history.point import (
    OBSERVATION_ATTR,
    QUEUED_ATTR,
    SUGGESTION_ATTR,
)
from nc_sigopt_strategy.engine.store import EXPERIMENT_ATTR, PROJECT_ATTR, RECORD_ATTR

if TYPE_CHECKING:
    from nc_sigopt_strategy.engine.database.optuna_tables import FrozenStudy

# By these the dashboard knows the names of objectives and the note of a study.
_METRIC_NAMES = "study:metric_names"
_NOTE_VERSION, _NOTE_PART = "dashboard:note_ver", "dashboard:note_str:{}"
_NOTE_LENGTH = 2000

_SHOWN = ("project", "type", "state", "observation_budget", "parallel_bandwidth")


class ReadableStorage(RDBStorage):
    """The storage of a store, for looking at. A project, which is an empty study, is not shown."""

    def get_all_studies(self) -> list[FrozenStudy]:
        """The experiments, called by their names and ids, and studies that are none of ours."""
        return [
            _study(study)
            for study in super().get_all_studies()
            if PROJECT_ATTR not in study.user_attrs
        ]

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials, with metrics and metadata as attributes of their own."""
        return [_trial(trial) for trial in super().get_all_trials(study_id, deepcopy, states)]


def _study(study: FrozenStudy) -> FrozenStudy:
    found = study.user_attrs.get(EXPERIMENT_ATTR)
    if not isinstance(found, Mapping):
        return study
    record = study.system_attrs.get(RECORD_ATTR)
    readable = copy.copy(study)
    readable.study_name = f"{found['name']} ({study_id(study)})"
    metadata = found.get("metadata") or {}
    readable.user_attrs = {
        **{key: value for key, value in study.user_attrs.items() if key != EXPERIMENT_ATTR},
        **{key: found[key] for key in _SHOWN if found.get(key) is not None},
        "metrics": ", ".join(_in_words(metric) for metric in found["metrics"]),
        **{f"metadata.{key}": value for key, value in metadata.items()},
    }
    optimized = [metric["name"] for metric in found["metrics"] if metric["strategy"] == "optimize"]
    attrs = {key: value for key, value in study.system_attrs.items() if key != RECORD_ATTR}
    if len(optimized) == len(study.directions):
        attrs.setdefault(_METRIC_NAMES, [str(name or "value") for name in optimized])
    if _NOTE_VERSION not in attrs:
        attrs.update(_note(record if isinstance(record, Mapping) else {}))
    readable.system_attrs = attrs
    return readable


def _in_words(metric: Mapping[str, Any]) -> str:
    threshold = "" if metric["threshold"] is None else f", threshold {metric['threshold']:g}"
    return f"{metric['name'] or 'value'} ({metric['strategy']}, {metric['objective']}{threshold})"


def _note(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the study is, for who has written no note of their own."""
    told = {
        "Model": record.get("model"),
        "Accuracy bound": record.get("accuracy_target"),
        "FP32's accuracy": record.get("baseline_accuracy"),
    }
    lines = [f"- {what}: {value}" for what, value in told.items() if value is not None]
    if not lines:
        return {}
    what_it_is = "The tuning strategy `sigopt` made it: each parameter is the type of an op."
    text = "\n".join([what_it_is, "", *lines])[:_NOTE_LENGTH]
    # Version 0 is what the dashboard takes a study without a note to have.
    return {_NOTE_VERSION: 0, _NOTE_PART.format(0): text}


def _trial(trial: FrozenTrial) -> FrozenTrial:
    attrs = trial.user_attrs
    observation = attrs.get(OBSERVATION_ATTR)
    if not any(key in attrs for key in (OBSERVATION_ATTR, SUGGESTION_ATTR, QUEUED_ATTR)):
        return trial
    plain: dict[str, Any] = {}
    for key, value in attrs.items():
        if key not in (OBSERVATION_ATTR, SUGGESTION_ATTR, QUEUED_ATTR):
            plain[key] = value
    suggestion = attrs.get(SUGGESTION_ATTR)
    if isinstance(suggestion, Mapping):
        plain.update(_metadata("suggestion", suggestion))
    if isinstance(observation, Mapping):
        plain.update(_metrics(observation.get("values") or ()))
        plain.update(_metadata("", observation))
        if observation.get("failed"):
            plain["failed"] = True
    if attrs.get(QUEUED_ATTR) is not None and trial.state == TrialState.WAITING:
        plain["queued"] = True
    readable = copy.copy(trial)
    readable.user_attrs = plain
    return readable


def _metrics(values: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    found = {}
    for value in values:
        name = str(value["name"] or "value")
        found[name] = value["value"]
        if value.get("value_stddev") is not None:
            found[f"{name} stddev"] = value["value_stddev"]
    return found


def _metadata(prefix: str, made: Mapping[str, Any]) -> dict[str, Any]:
    begin = f"{prefix}." if prefix else ""
    return {f"{begin}{key}": value for key, value in (made.get("metadata") or {}).items()}
