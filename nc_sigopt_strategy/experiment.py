"""One SigOpt experiment: create or join it, then suggest, observe, fail, best.

Every suggestion ends in exactly one observation. Whether a server or the embedded engine
answers makes no difference here, but for two things that only the embedded engine has: a record
of any size beside the experiment, and durable storage in this process.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .errors import ExperimentError
from .metric_names import ACCURACY, DURATION, LATENCY, OUTPUT_NOISE, OWN
from .outcome import TrialRecord, TrialState
from .sigopt_client import ApiException, SigOptException, without_token

# SigOpt's limits on metadata: 100 keys of 100 characters, strings of 500.
METADATA_STRING = 500
_PHASE_PREFIX = "seconds_"
_RERUNS = "reruns"
# Where the record keeps what accuracy has to reach: as a metric without a threshold it does not.
_TARGET = "accuracy_target"


@dataclass(frozen=True)
class Trial:
    """An open suggestion.

    Attributes:
        number: Position in the run, from 1.
        suggestion_id: SigOpt's id.
        assignments: Parameter name to value label.
        origin: Who proposed it; see ``TrialRecord.origin``.
        reruns: How often a process died while it was open.
    """

    number: int
    suggestion_id: str
    assignments: Mapping[str, str]
    origin: str
    reruns: int = 0


@dataclass(frozen=True)
class Definition:
    """What a new experiment is made of.

    Attributes:
        name: Experiment name.
        project_id: Project id, or ``None``.
        parameters: Parameter name to its values.
        accuracy_threshold: Value that the accuracy constraint must meet; ``None``: accuracy is
            optimized as latency is.
        maximize_accuracy: Direction of the accuracy metric.
        stores_noise: Whether output noise is among the stored metrics.
        observation_budget: INC's ``max_trials``.
        record: JSON-safe document kept with the experiment: op names, fingerprints.
        stored_metrics: Names of the user's own metrics.
        accuracy_target: What INC's criterion asks for, where that is not the threshold.
    """

    name: str
    project_id: str | None
    parameters: Mapping[str, Sequence[str]]
    accuracy_threshold: float | None
    maximize_accuracy: bool
    stores_noise: bool
    observation_budget: int
    record: Mapping[str, Any] = field(default_factory=dict)
    stored_metrics: tuple[str, ...] = ()
    accuracy_target: float | None = None

    def with_record(self, record: Mapping[str, Any]) -> Definition:
        """The same experiment with another record."""
        return replace(self, record=record)

    def to_request(self) -> dict[str, Any]:
        """The body of SigOpt's experiment create."""
        accuracy: dict[str, Any] = {
            "name": ACCURACY,
            "objective": "maximize" if self.maximize_accuracy else "minimize",
            "strategy": "optimize",
        }
        if self.accuracy_threshold is not None:
            accuracy.update(strategy="constraint", threshold=self.accuracy_threshold)
        metrics: list[dict[str, Any]] = [
            accuracy,
            {"name": LATENCY, "objective": "minimize", "strategy": "optimize"},
            {"name": DURATION, "objective": "minimize", "strategy": "store"},
        ]
        if self.stores_noise:
            metrics.append({"name": OUTPUT_NOISE, "objective": "minimize", "strategy": "store"})
        metrics += [{"name": name, "strategy": "store"} for name in self.stored_metrics]
        request: dict[str, Any] = {
            "name": self.name,
            "parameters": [
                {
                    "name": name,
                    "type": "categorical",
                    "categorical_values": [{"name": value} for value in values],
                }
                for name, values in self.parameters.items()
            ],
            "metrics": metrics,
            "observation_budget": self.observation_budget,
            "parallel_bandwidth": 1,
        }
        if self.project_id is not None:
            request["project"] = self.project_id
        return request


class Experiment:
    """A created or joined experiment.

    Args:
        connection: A ``sigopt.Connection``.
        document: The experiment as the connection returned it.
    """

    def __init__(self, connection: Any, document: Any) -> None:
        self._connection = connection
        self._document = document
        self.id: str = str(document.id)
        # What a person continues the experiment by; a copy on a server has its own.
        self.shown_id: str = self.id
        self.name: str = document.name
        self.metric_names: tuple[str, ...] = tuple(m.name for m in document.metrics)
        self.parameters: dict[str, tuple[str, ...]] = {
            p.name: tuple(v.name for v in p.categorical_values) for p in document.parameters
        }
        self._accuracy = next((m for m in document.metrics if m.name == ACCURACY), None)

    @classmethod
    def create(cls, connection: Any, definition: Definition) -> Experiment:
        """Create an experiment and keep its record.

        Raises:
            ExperimentError: The server refuses it, for instance because the project is unknown.
        """
        document, problem = _ask(
            connection, lambda: connection.experiments().create(**definition.to_request())
        )
        if problem is not None:
            raise ExperimentError(f"The experiment cannot be created: {problem}.")
        experiment = cls(connection, document)
        record = dict(definition.record)
        if definition.accuracy_target is not None:
            record[_TARGET] = definition.accuracy_target
        experiment.write_record(record)
        return experiment

    @classmethod
    def join(cls, connection: Any, experiment_id: str) -> Experiment:
        """Continue an experiment.

        Raises:
            ExperimentError: There is none of that id, or it was not made by this strategy.
        """
        document, problem = _ask(connection, lambda: connection.experiments(experiment_id).fetch())
        if problem is not None:
            raise ExperimentError(
                f"There is no experiment {experiment_id!r} here ({problem}).",
                "`nc-sigopt experiments list` shows those of the embedded engine. To name a new "
                "experiment use sigopt_experiment_name.",
            )
        names = {metric.name for metric in document.metrics}
        if not {ACCURACY, LATENCY} <= names:
            raise ExperimentError(
                f"Experiment {experiment_id} was not made by this strategy: its metrics are "
                f"{', '.join(sorted(str(name) for name in names))}.",
                "Leave sigopt_experiment_id out to create a new one.",
            )
        return cls(connection, document)

    @property
    def threshold(self) -> float | None:
        """What the accuracy has to reach: a constraint, or without one what the record says."""
        if self._accuracy is not None and self._accuracy.threshold is not None:
            return float(self._accuracy.threshold)
        target = self.read_record().get(_TARGET)
        return None if target is None else float(target)

    @property
    def missed_updates(self) -> int:
        """Updates that a copy on a server did not get."""
        return 0

    def read_record(self) -> dict[str, Any]:
        """The document kept with the experiment; empty where the server keeps none."""
        raw = self._record_request("GET", None)
        return {} if raw is None else dict(raw.get("record") or {})

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace the document kept with the experiment."""
        self._record_request("PUT", {"record": dict(record)})

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
    ) -> Trial:
        """Open a suggestion: the given assignments, or the engine's own.

        Args:
            number: Position of the trial in the run.
            assignments: What to try; ``None`` asks the engine.
            origin: Who proposes it.
        """
        request: dict[str, Any] = {"metadata": {"origin": origin, "number": number}}
        if assignments is not None:
            request["assignments"] = dict(assignments)
        document = self._suggestions().create(**request)
        return Trial(number, str(document.id), dict(document.assignments), origin)

    def open_suggestions(self) -> list[Trial]:
        """Suggestions that a process left open when it died, oldest first."""
        found = []
        for document in self._suggestions().fetch(state="open").iterate_pages():
            metadata = _plain(document.metadata)
            found.append(
                Trial(
                    int(metadata.get("number", 0)),
                    str(document.id),
                    dict(document.assignments),
                    str(metadata.get("origin", "")),
                    int(metadata.get(_RERUNS, 0)),
                )
            )
        return sorted(found, key=lambda trial: trial.number)

    def take_over(self, trial: Trial) -> Trial:
        """Note that a suggestion is run again after a process died with it."""
        taken = replace(trial, reruns=trial.reruns + 1)
        metadata = {"origin": trial.origin, "number": trial.number, _RERUNS: taken.reruns}
        self._suggestions(trial.suggestion_id).update(metadata=metadata)
        return taken

    def observe(self, record: TrialRecord, fingerprint: str | None = None) -> None:
        """Report a measured trial; it is durable when this returns."""
        values: list[dict[str, Any]] = []
        for name in self.metric_names:
            value: dict[str, Any] = {"name": name, "value": _metric(record, name)}
            if name == LATENCY and record.latency_stddev is not None:
                value["value_stddev"] = record.latency_stddev
            values.append(value)
        self._observations().create(
            **_of_suggestion(record),
            values=values,
            metadata=_observation_metadata(record, fingerprint),
        )

    def fail(self, record: TrialRecord) -> None:
        """Report a failed trial with its reason."""
        self._observations().create(
            **_of_suggestion(record),
            failed=True,
            metadata=_observation_metadata(record, None),
        )

    def trials(self) -> list[tuple[TrialRecord, str | None]]:
        """All observed trials as records, in run order, each with its graph's fingerprint."""
        threshold = self.threshold
        found = [
            _record_of(document, lambda accuracy: self._met(accuracy, threshold))
            for document in self._observations().fetch().iterate_pages()
        ]
        return sorted(found, key=lambda pair: pair[0].number)

    def best(self) -> Mapping[str, str] | None:
        """Assignments of the best observation that meets the constraint, by the engine's word.

        One of the Pareto set where accuracy is optimized too.
        """
        endpoint = self._connection.experiments(self.id).best_assignments()
        for document in endpoint.fetch().iterate_pages():
            return dict(document.assignments)
        return None

    def _met(self, accuracy: float, threshold: float | None) -> bool | None:
        if self._accuracy is None or threshold is None:
            return None
        if self._accuracy.objective == "minimize":
            return bool(accuracy <= threshold)
        return bool(accuracy >= threshold)

    def _suggestions(self, suggestion_id: str | None = None) -> Any:
        resource = self._connection.experiments(self.id).suggestions
        return resource() if suggestion_id is None else resource(suggestion_id)

    def _observations(self) -> Any:
        return self._connection.experiments(self.id).observations()

    def _record_request(
        self, method: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        # Our extension of SigOpt's routes: no SigOpt server has it, and none needs it.
        path = ["experiments", self.id, "record"]
        try:
            answer: dict[str, Any] | None = self._connection.impl.request(method, path, body, None)
        except ApiException as error:
            if error.status_code in (404, 405):
                return None
            raise
        return answer


def _ask(connection: Any, request: Callable[[], Any]) -> tuple[Any, str | None]:
    """The answer, or what is wrong in words.

    Words instead of an exception: the client's exceptions carry the request, token included, and
    would hang on to ours as its context.
    """
    try:
        return request(), None
    except SigOptException as error:
        return None, without_token(connection, error)


def list_experiments(connection: Any) -> Iterator[Any]:
    """All active experiments of a connection, newest first."""
    yield from connection.experiments().fetch().iterate_pages()


def _of_suggestion(record: TrialRecord) -> dict[str, Any]:
    """What an observation belongs to: its suggestion, or where that is unknown its assignments."""
    if record.suggestion_id is not None:
        return {"suggestion": record.suggestion_id}
    return {"assignments": dict(record.assignments)}


def _metric(record: TrialRecord, name: str) -> float:
    value = {
        ACCURACY: record.accuracy,
        LATENCY: record.latency_seconds,
        DURATION: record.duration_seconds,
        OUTPUT_NOISE: record.output_noise,
    }.get(name, record.stored_metrics.get(name))
    if value is None or not math.isfinite(value):
        raise ExperimentError(f"Trial {record.number} has no finite value for metric {name!r}.")
    return float(value)


def _observation_metadata(record: TrialRecord, fingerprint: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "number": record.number,
        "origin": record.origin,
        "started_seconds": record.started_seconds,
        "ended_seconds": record.ended_seconds,
        "latency_ratio": record.latency_ratio,
        "duplicate_of": record.duplicate_of,
        "failure": record.failure,
        "interrupted": 1 if record.interrupted else None,
        "fingerprint": fingerprint,
    }
    metadata.update({_PHASE_PREFIX + name: s for name, s in record.phase_seconds.items()})
    return {
        key: value[:METADATA_STRING] if isinstance(value, str) else value
        for key, value in metadata.items()
        if value is not None
    }


def _record_of(document: Any, met: Any) -> tuple[TrialRecord, str | None]:
    metadata = _plain(document.metadata)
    values = {value.name: value for value in document.values or []}
    accuracy = values[ACCURACY].value if ACCURACY in values else None
    record = TrialRecord(
        number=int(metadata.get("number", 0)),
        state=TrialState.FAILED if document.failed else TrialState.OBSERVED,
        origin=str(metadata.get("origin", "")),
        assignments=dict(document.assignments),
        accuracy=accuracy,
        meets_bound=None if accuracy is None else met(accuracy),
        latency_seconds=values[LATENCY].value if LATENCY in values else None,
        latency_stddev=values[LATENCY].value_stddev if LATENCY in values else None,
        latency_ratio=metadata.get("latency_ratio"),
        duration_seconds=values[DURATION].value if DURATION in values else None,
        output_noise=values[OUTPUT_NOISE].value if OUTPUT_NOISE in values else None,
        failure=metadata.get("failure"),
        duplicate_of=metadata.get("duplicate_of"),
        phase_seconds={
            key[len(_PHASE_PREFIX) :]: value
            for key, value in metadata.items()
            if key.startswith(_PHASE_PREFIX)
        },
        started_seconds=float(metadata.get("started_seconds", 0.0)),
        ended_seconds=float(metadata.get("ended_seconds", 0.0)),
        suggestion_id=None if document.suggestion is None else str(document.suggestion),
        interrupted=bool(metadata.get("interrupted")),
        stored_metrics={n: found.value for n, found in values.items() if n not in OWN},
    )
    return record, metadata.get("fingerprint")


def _plain(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    return dict(metadata.to_json() if hasattr(metadata, "to_json") else json.loads(str(metadata)))
