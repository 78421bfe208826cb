"""What is known of one experiment's suggestions and observations, kept in this process.

Bringing it up to date costs what has changed since, not what there is, so the answers stay as
fast with ten thousand observations as with none.
"""

from __future__ import annotations

import bisect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_strategy.engine.database.database import Database
from nc_sigopt_strategy.engine.database.journal import News, read_journal
from nc_sigopt_strategy.engine.database.trial_reader import read_trials
from nc_sigopt_strategy.engine.database.trial_writer import TrialTemplate
from nc_sigopt_strategy.engine.history.best import BestSoFar
from nc_sigopt_strategy.engine.history.description import ExperimentDescription, Metric
from nc_sigopt_strategy.engine.history.point import Point, point_of
from nc_sigopt_strategy.engine.history.stagnation import (
    LOOKBACK_PER_PARAMETER,
    Costs,
    is_front_stagnating,
)
from nc_sigopt_strategy.sampling import Enumeration
from nc_sigopt_strategy.sampling.snapshot import snapshot_study

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Progress:
    """How far an experiment is.

    Attributes:
        count: Number of observations.
        first: The one that arrived first.
        last: The one that arrived last.
        best: The best one whatever the thresholds; ``None`` unless one metric is optimized.
        updated: When an observation last arrived, was changed or deleted, in unix seconds; 0 for
            never.
    """

    count: int
    first: Point | None
    last: Point | None
    best: Point | None
    updated: int = 0


NOTHING_YET = Progress(count=0, first=None, last=None, best=None)


class History:
    """The points of one experiment.

    Threads may share it. What it returns does not change any more; ``refresh`` brings in what
    this and other processes have written since.

    Args:
        database: Where they are stored.
        study_id: The experiment.
        study_name: Its name in Optuna's tables, unique for ever.
        experiment: Its description; where its parameters change, another history is made.

    Attributes:
        parameters: Those of the experiment.
        space: Parameter name to distribution.
        enumeration: All combinations; ``None`` if a parameter is continuous.
        template: Inserts a trial.
    """

    def __init__(
        self,
        database: Database,
        study_id: int,
        study_name: str,
        experiment: ExperimentDescription,
    ) -> None:
        self.study_id = study_id
        self.study_name = study_name
        self.parameters = experiment.parameters
        self.space = experiment.search_space()
        self.enumeration = Enumeration(self.space) if Enumeration.is_finite(self.space) else None
        self._coding = experiment.coding()
        self.template = TrialTemplate(self._coding)
        self._database = database
        self._experiment = experiment
        self._movable = [p for p in experiment.parameters if p.coded or not p.values]
        # Trials outside of a domain that was wider once: kept, and nothing for a sampler.
        self._outside: set[int] = set()
        self._lock = threading.RLock()
        self._trials: dict[int, FrozenTrial] = {}
        self._points: dict[int, Point] = {}
        self._unfinished: dict[int, TrialState] = {}
        self._last = -1
        self._next_number = 0
        self._news: News | None = None
        # Ids in ascending order. A trial is in at most one of the lists at a time.
        self._suggestions: list[int] = []
        self._withdrawn: list[int] = []
        self._queued: list[int] = []
        self._open: list[int] = []
        # Ids of observations in ascending order, which is that of their arrival, and their trials.
        self._observed: list[int] = []
        self._trial_of: dict[int, int] = {}
        # How many observations name a suggestion.
        self._reports: Counter[str] = Counter()
        self._taken: Counter[Key] = Counter()
        self._ranks: dict[Key, int] = {}
        self._metrics: tuple[Metric, ...] | None = None
        self._best: BestSoFar | None = None
        self._costs = Costs()

    def refresh(self) -> None:
        """Read what was written since the last time."""
        with self._lock:
            # The journal first: what is entered after this is read now, or again next time.
            with self._database.reading() as connection:
                news = read_journal(connection, self.study_id, self._news)
            for trial in read_trials(
                self._database,
                self.study_id,
                self.space,
                self._last,
                self._unfinished,
                news.trial_ids,
                self._coding,
            ):
                self._take(trial)
            self._news = news

    def __len__(self) -> int:
        """How many trials there are, of whatever kind."""
        return len(self._points)

    @property
    def is_read(self) -> bool:
        """Whether it has been brought up to date at all."""
        return self._news is not None

    @property
    def size(self) -> int:
        """How many values of parameters it holds."""
        return len(self._points) * len(self.space)

    @property
    def next_number(self) -> int:
        """The number that the next trial gets, unless another process adds one first."""
        return self._next_number

    def point(self, point_id: int) -> Point | None:
        """The point with this id."""
        return self._points.get(point_id)

    def suggestions(self, *, deleted: bool = False, only_open: bool = False) -> Sequence[Point]:
        """Suggestions by ascending id."""
        with self._lock:
            if deleted:
                return Selection(self._points, list(self._withdrawn))
            return Selection(self._points, list(self._open if only_open else self._suggestions))

    def queued(self) -> Sequence[Point]:
        """Queued suggestions by ascending id."""
        with self._lock:
            return Selection(self._points, list(self._queued))

    def observed(self) -> Sequence[Point]:
        """Observed points in the order in which the observations arrived."""
        with self._lock:
            return Selection(self._points, [self._trial_of[known] for known in self._observed])

    def observation(self, observation_id: int) -> Point | None:
        """The point with this observation."""
        with self._lock:
            trial_id = self._trial_of.get(observation_id)
            return None if trial_id is None else self._points[trial_id]

    def reports(self, suggestion_id: str) -> int:
        """How many observations name this suggestion."""
        return self._reports[suggestion_id]

    def progress(self, experiment: ExperimentDescription) -> Progress:
        """How far the experiment is."""
        with self._lock:
            # With one optimized metric a server names the best value, thresholds or not.
            single = len(experiment.optimized) == 1
            best = self._best_of(experiment).regardless() if single else []
            return Progress(
                count=len(self._observed),
                first=self._arrived(0) if self._observed else None,
                last=self._arrived(-1) if self._observed else None,
                best=best[0] if best else None,
                updated=0 if self._news is None else self._news.written,
            )

    def best(self, experiment: ExperimentDescription) -> list[Point]:
        """The best observations, as ``best.BestSoFar.within_thresholds``."""
        with self._lock:
            return self._best_of(experiment).within_thresholds()

    def is_stagnating(self, experiment: ExperimentDescription) -> bool:
        """Whether the latest observations have brought nothing; see ``stagnation``."""
        lookback = LOOKBACK_PER_PARAMETER * len(self.space)
        with self._lock:
            if len(experiment.optimized) == 1:
                return self._costs.is_stagnating(lookback)
            front = self._best_of(experiment).regardless()
            count = len(self._observed)
            if not front or count <= lookback:
                return False
            latest = self._observed[-lookback]
            earlier = [point.observation_id < latest for point in front]
            return is_front_stagnating(experiment, front, earlier, count)

    def is_taken(self, assignments: Mapping[str, Any]) -> bool:
        """Whether some point that was not taken back has these assignments."""
        return self._taken[self.key(assignments)] > 0

    def taken_ranks(self) -> list[int]:
        """Their numbers in the enumeration of a finite space, ascending."""
        with self._lock:
            if self.enumeration is None:
                return []
            for key in self._taken:
                if key in self._ranks:
                    continue
                assignments = dict(zip(self.space, key, strict=True))
                if self._is_within(assignments):
                    self._ranks[key] = self.enumeration.rank(assignments)
            return sorted(self._ranks[key] for key in self._taken if key in self._ranks)

    def key(self, assignments: Mapping[str, Any]) -> Key:
        """The assignments as something to look up."""
        return tuple(assignments[name] for name in self.space)

    def internal(self, assignments: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
        """The assignments as Optuna's tables hold them: each a number, and what it means."""
        coding = self._coding
        return {
            name: (coding[name].to_internal_repr(value), distribution_to_json(coding[name]))
            for name, value in assignments.items()
        }

    def study(self) -> optuna.Study:
        """The trials as of now, for a sampler to read: those within the present domain."""
        with self._lock:
            trials = list(self._trials.values())
            if self._outside:
                trials = [
                    trial for known, trial in self._trials.items() if known not in self._outside
                ]
        return snapshot_study(self.study_name, self._experiment.directions, trials)

    def _take(self, trial: FrozenTrial) -> None:
        new = point_of(trial)
        old = self._points.get(new.id)
        self._trials[new.id] = trial
        if self._is_within(new.assignments):
            self._outside.discard(new.id)
        else:
            self._outside.add(new.id)
        self._points[new.id] = new
        self._last = max(self._last, new.id)
        self._next_number = max(self._next_number, new.number + 1)
        if trial.state.is_finished():
            self._unfinished.pop(new.id, None)
        else:
            self._unfinished[new.id] = trial.state
        for ids, belongs in (
            (self._suggestions, _is_suggestion),
            (self._withdrawn, _is_withdrawn),
            (self._queued, _is_queued),
            (self._open, _is_open),
        ):
            was = old is not None and belongs(old)
            if belongs(new) and not was:
                bisect.insort(ids, new.id)
            elif was and not belongs(new):
                del ids[bisect.bisect_left(ids, new.id)]
        self._count(old, -1)
        self._count(new, 1)
        if old is None or old.observation != new.observation:
            if old is not None and old.observation is not None:
                self._forget(old)
            if new.observation is not None:
                self._arrive(new)

    def _is_within(self, assignments: Mapping[str, Any]) -> bool:
        return all(parameter.holds(assignments[parameter.name]) for parameter in self._movable)

    def _arrive(self, point: Point) -> None:
        position = bisect.bisect(self._observed, point.observation_id)
        self._observed.insert(position, point.observation_id)
        self._trial_of[point.observation_id] = point.id
        self._reports[_suggestion_of(point)] += 1
        if len(self._experiment.optimized) == 1:
            self._costs.insert(position, self._experiment, point)
        if self._best is not None:
            self._best.add(point)

    def _forget(self, point: Point) -> None:
        position = bisect.bisect_left(self._observed, point.observation_id)
        del self._observed[position]
        del self._trial_of[point.observation_id]
        self._reports[_suggestion_of(point)] -= 1
        if len(self._experiment.optimized) == 1:
            self._costs.remove(position)
        self._best = None

    def _arrived(self, index: int) -> Point:
        return self._points[self._trial_of[self._observed[index]]]

    def _count(self, point: Point | None, step: int) -> None:
        if point is None or point.withdrawn:
            return
        key = self.key(point.assignments)
        self._taken[key] += step
        if not self._taken[key]:
            del self._taken[key]

    def _best_of(self, experiment: ExperimentDescription) -> BestSoFar:
        # Thresholds may change, and the other metrics' objectives not: then all are compared anew.
        if self._best is None or self._metrics != experiment.metrics:
            self._metrics = experiment.metrics
            self._best = BestSoFar(experiment)
            for observation_id in self._observed:
                self._best.add(self._points[self._trial_of[observation_id]])
        return self._best


class Selection(Sequence[Point]):
    """Some of the points, looked up when they are asked for."""

    def __init__(self, points: Mapping[int, Point], ids: list[int]) -> None:
        self._points = points
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._points[point_id] for point_id in self._ids[index]]
        return self._points[self._ids[index]]

    def __iter__(self) -> Iterator[Point]:
        return (self._points[point_id] for point_id in self._ids)


def _is_suggestion(point: Point) -> bool:
    return point.suggestion is not None and not point.withdrawn


def _is_withdrawn(point: Point) -> bool:
    return point.suggestion is not None and point.withdrawn


def _is_queued(point: Point) -> bool:
    return point.queued is not None


def _is_open(point: Point) -> bool:
    return point.is_open


def _suggestion_of(point: Point) -> str:
    return str((point.observation or {})["suggestion"])
