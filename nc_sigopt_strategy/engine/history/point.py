"""A trial, seen with SigOpt's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_strategy.engine.database.optuna_tables import trial_id
from nc_sigopt_strategy.sampling import WITHDRAWN_ATTR

JsonObject = dict[str, Any]

# User attributes of a trial.
SUGGESTION_ATTR = "suggestion"
OBSERVATION_ATTR = "observation"
QUEUED_ATTR = "queued"


@dataclass(frozen=True, slots=True)
class Point:
    """One trial, seen with SigOpt's eyes.

    Attributes:
        id: Of the suggestion, and of the trial; unique in the store.
        number: Position in the experiment, from 0.
        assignments: Parameter name to value.
        suggestion: ``created`` and ``metadata``; ``None`` if it never was a suggestion.
        observation: ``id``, ``created``, ``failed``, ``values``, ``metadata`` and ``suggestion``;
            ``None`` while open.
        withdrawn: Whether the suggestion, the queued one, or the observation of given assignments
            was deleted.
        queued: ``created`` of a queued suggestion that was not served yet; otherwise ``None``.
        running: Whether the trial has not ended.
    """

    id: int
    number: int
    assignments: Mapping[str, Any]
    suggestion: JsonObject | None
    observation: JsonObject | None
    withdrawn: bool
    queued: JsonObject | None = None
    running: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is a suggestion that waits for its observation."""
        return self.suggestion is not None and self.running

    @property
    def observation_id(self) -> int:
        """Grows in the order in which the observations of an experiment arrive.

        One that was made before there was a journal has its trial's.
        """
        return int((self.observation or {}).get("id", self.id))


def point_of(trial: FrozenTrial) -> Point:
    """The point that a trial is."""
    attrs = trial.user_attrs
    # What a trial says of its end counts once it has ended: attributes are read after the state.
    finished = trial.state.is_finished()
    waiting = trial.state == TrialState.WAITING
    return Point(
        id=trial_id(trial),
        number=trial.number,
        assignments=trial.params,
        suggestion=None if waiting else attrs.get(SUGGESTION_ATTR),
        observation=attrs.get(OBSERVATION_ATTR) if finished else None,
        withdrawn=finished and WITHDRAWN_ATTR in attrs,
        queued=attrs.get(QUEUED_ATTR) if waiting else None,
        running=trial.state == TrialState.RUNNING,
    )
