"""One SigOpt experiment: create or join it, then suggest, observe, fail, best.

Every suggestion ends in exactly one observation. Whether a server or the embedded engine
answers makes no difference here, but for two things that only the embedded engine has: a record
of any size beside the experiment, and durable storage in this process.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.client.sigopt_client import ApiException, SigOptException, without_token
from nc_sigopt_strategy.errors import ExperimentError, SuggestionLostError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.documents import observation_request, plain_metadata, record_of
from nc_sigopt_strategy.experiments.lease import Lease, Worker
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.results.metric_names import ACCURACY, LATENCY
from nc_sigopt_strategy.results.trial_record import TrialRecord

_ORIGIN, _NUMBER, _RERUNS = "origin", "number", "reruns"


@dataclass(frozen=True)
class Trial:
    """An open suggestion.

    Attributes:
        number: Position in the experiment, from 1.
        suggestion_id: SigOpt's id.
        assignments: Parameter name to value label.
        origin: Who proposed it; see ``TrialRecord.origin``.
        reruns: How often a process died while it was open.
        lease: Whose it is; ``None`` if no worker said.
        metadata: All that the suggestion's metadata says.
        is_open: Whether it still waits for its observation.
    """

    number: int
    suggestion_id: str
    assignments: Mapping[str, str]
    origin: str
    reruns: int = 0
    lease: Lease | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    is_open: bool = True

    def with_id(self, suggestion_id: str) -> Trial:
        """The same trial under the id that another store gave it."""
        return dataclasses.replace(self, suggestion_id=suggestion_id)


@dataclass(frozen=True)
class Place:
    """Where an open suggestion stands among those of other workers.

    Attributes:
        observed: Observations of the experiment.
        ahead: Open suggestions that were made before it.
        taken: Whether one of those has the same assignments.
    """

    observed: int = 0
    ahead: int = 0
    taken: bool = False


class Experiment:
    """A created or joined experiment.

    Args:
        connection: A ``sigopt.Connection``.
        document: The experiment as the connection returned it.
        worker: Who works on it; ``None`` to look only, or where there is only one.
    """

    def __init__(self, connection: Any, document: Any, worker: Worker | None = None) -> None:
        self.connection = connection
        self.worker = worker
        self.document = document
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
    def create(
        cls, connection: Any, definition: Definition, worker: Worker | None = None
    ) -> Experiment:
        """Create an experiment and keep its record.

        Raises:
            ExperimentError: The server refuses it, for instance because the project is unknown.
        """
        document, problem = _ask(
            connection, lambda: connection.experiments().create(**definition.to_request())
        )
        if problem is None and document.id is None:
            problem = "the answer names no id"
        if problem is not None:
            raise ExperimentError(f"The experiment cannot be created: {problem}.")
        experiment = cls(connection, document, worker)
        experiment.write_record(definition.record)
        return experiment

    @classmethod
    def join(cls, connection: Any, experiment_id: str, worker: Worker | None = None) -> Experiment:
        """Continue an experiment.

        Raises:
            ExperimentError: There is none of that id, or it was not made by this strategy.
        """
        document, problem = _ask(connection, lambda: connection.experiments(experiment_id).fetch())
        if problem is None and document.id is None:
            problem = "the answer is not that of a SigOpt server"
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
        return cls(connection, document, worker)

    @property
    def threshold(self) -> float | None:
        """What the accuracy has to reach: a constraint, or without one what the record says."""
        if self._accuracy is not None and self._accuracy.threshold is not None:
            return float(self._accuracy.threshold)
        return self.read_record().accuracy_target

    @property
    def is_shared(self) -> bool:
        """Whether several workers may be at work, by the document as it was read last."""
        return (self.document.parallel_bandwidth or 1) > 1

    @property
    def observed(self) -> int:
        """Observations, by the document as it was read last."""
        return int(self.document.progress.observation_count)

    @property
    def missed_updates(self) -> int:
        """Updates that a copy on a server did not get."""
        return 0

    def refresh(self) -> None:
        """Read the document again."""
        self.document = self.connection.experiments(self.id).fetch()

    def share_among(self, workers: int) -> None:
        """Let at least this many workers ask at the same time."""
        if workers > (self.document.parallel_bandwidth or 1):
            endpoint = self.connection.experiments(self.id)
            self.document = endpoint.update(parallel_bandwidth=workers)

    def read_record(self) -> ExperimentRecord:
        """The record kept with the experiment; of a SigOpt server what its metadata holds."""
        raw = self._record_request("GET", None)
        if raw is not None:
            return ExperimentRecord.from_json(raw.get("record") or {})
        document = self.connection.experiments(self.id).fetch()
        return ExperimentRecord.from_metadata(plain_metadata(document.metadata))

    def write_record(self, record: ExperimentRecord) -> None:
        """Replace the record kept with the experiment."""
        if self._record_request("PUT", {"record": record.to_json()}) is None:
            self.connection.experiments(self.id).update(metadata=record.to_metadata())

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
        reruns: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Trial:
        """Open a suggestion: the given assignments, or the engine's own.

        Args:
            number: Position of the trial where the server does not count suggestions.
            assignments: What to try; ``None`` asks the engine.
            origin: Who proposes it.
            reruns: How often a process died with the same assignments.
            metadata: Further metadata.
        """
        request: dict[str, Any] = {
            "metadata": {
                **self._suggestion_metadata(origin, number, reruns),
                **(metadata or {}),
            }
        }
        if assignments is not None:
            request["assignments"] = dict(assignments)
        return _trial_of(self._suggestions().create(**request))

    def open_suggestions(self) -> list[Trial]:
        """Suggestions without an observation, oldest first, whosever they are."""
        return self._listed(state="open")

    def suggestions(self) -> list[Trial]:
        """All suggestions, oldest first, observed ones included."""
        return self._listed()

    def take_over(self, trial: Trial) -> Trial:
        """Note that a suggestion of this worker's own is run again after a process died."""
        taken = dataclasses.replace(trial, reruns=trial.reruns + 1)
        self._suggestions(trial.suggestion_id).update(
            metadata={
                **trial.metadata,
                **self._suggestion_metadata(trial.origin, trial.number, taken.reruns),
            }
        )
        return taken

    def renew(self, suggestion_id: str) -> None:
        """Renew the lease of a suggestion of this worker's."""
        if self.worker is None:
            return
        endpoint = self._suggestions(suggestion_id)
        known = plain_metadata(endpoint.fetch().metadata)
        endpoint.update(metadata={**known, **self.worker.lease().to_metadata()})

    def withdraw(self, trial: Trial) -> bool:
        """Take an open suggestion back, so that nobody observes it.

        Returns:
            False if it was observed or taken back before: of several that try, one gets True.
        """
        try:
            self._suggestions(trial.suggestion_id).delete()
        except ApiException as error:
            if error.status_code in (400, 404):
                return False
            raise
        return True

    def reclaim(self, trial: Trial) -> bool:
        """Take back a suggestion that another worker left; as ``withdraw``."""
        return self.withdraw(trial)

    def place_of(self, trial: Trial) -> Place:
        """Where a suggestion of this worker's stands among the others'."""
        # Open ones first: what is observed meanwhile is counted twice rather than not at all.
        ahead = [
            other
            for other in self.open_suggestions()
            if int(other.suggestion_id) < int(trial.suggestion_id)
        ]
        self.refresh()
        taken = any(other.assignments == trial.assignments for other in ahead)
        return Place(self.observed, len(ahead), taken)

    def observe(
        self,
        record: TrialRecord,
        fingerprint: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Report a trial, measured or failed; it is durable when this returns.

        Args:
            record: The trial.
            fingerprint: Of its graph, if it was measured.
            metadata: Further metadata.

        Returns:
            The observation's id.

        Raises:
            SuggestionLostError: Another worker has taken the suggestion over.
        """
        request = observation_request(record, self.metric_names, fingerprint, metadata)
        return str(self._report(request).id)

    def trials(self) -> list[tuple[TrialRecord, str | None]]:
        """All observed trials as records, in run order, each with its graph's fingerprint."""
        threshold = self.threshold
        found = [
            record_of(document, lambda accuracy: self._met(accuracy, threshold))
            for document in self.observation_documents()
        ]
        return sorted(found, key=lambda pair: pair[0].number)

    def observation_documents(self) -> Iterator[Any]:
        """All observations as the client returns them, newest first."""
        yield from self._observations().fetch().iterate_pages()

    def news(self, known: Collection[str]) -> list[tuple[TrialRecord, str | None]]:
        """Trials that other workers observed; the document is read again too.

        Args:
            known: Ids of the observations that are known.
        """
        self.refresh()
        if self.observed <= len(known):
            return []
        return [pair for pair in self.trials() if pair[0].observation_id not in known]

    def flush(self, patience_seconds: float) -> None:
        """Bring a copy on a server up to date, if there is one."""

    def best(self) -> Mapping[str, str] | None:
        """Assignments of the best observation that meets the constraint, by the engine's word.

        One of the Pareto set where accuracy is optimized too.
        """
        endpoint = self.connection.experiments(self.id).best_assignments()
        for document in endpoint.fetch().iterate_pages():
            return dict(document.assignments)
        return None

    def _listed(self, **query: Any) -> list[Trial]:
        pages = self._suggestions().fetch(**query).iterate_pages()
        return sorted(map(_trial_of, pages), key=lambda trial: int(trial.suggestion_id))

    def _report(self, request: Mapping[str, Any]) -> Any:
        try:
            return self._observations().create(**request)
        except ApiException as error:
            if error.status_code != 400 or not str(error.message).startswith("No suggestion"):
                raise
        # Outside of the handler: the client's exception would hang on to the request.
        raise SuggestionLostError(
            f"Suggestion {request['suggestion']} was taken over by another worker.",
            "Set lease_seconds higher if this worker was only slow.",
        )

    def _suggestion_metadata(self, origin: str, number: int, reruns: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {_ORIGIN: origin, _NUMBER: number}
        if reruns:
            metadata[_RERUNS] = reruns
        if self.worker is not None:
            metadata.update(self.worker.lease().to_metadata())
        return metadata

    def _met(self, accuracy: float, threshold: float | None) -> bool | None:
        if self._accuracy is None or threshold is None:
            return None
        if self._accuracy.objective == "minimize":
            return bool(accuracy <= threshold)
        return bool(accuracy >= threshold)

    def _suggestions(self, suggestion_id: str | None = None) -> Any:
        resource = self.connection.experiments(self.id).suggestions
        return resource() if suggestion_id is None else resource(suggestion_id)

    def _observations(self) -> Any:
        return self.connection.experiments(self.id).observations()

    def _record_request(
        self, method: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        # Our extension of SigOpt's routes: no SigOpt server has it.
        path = ["experiments", self.id, "record"]
        try:
            answer: dict[str, Any] | None = self.connection.impl.request(method, path, body, None)
        except ApiException as error:
            if error.status_code in (404, 405):
                return None
            raise
        return answer


def list_experiments(connection: Any) -> Iterator[Any]:
    """All active experiments of a connection, newest first."""
    yield from connection.experiments().fetch().iterate_pages()


def _trial_of(document: Any) -> Trial:
    metadata = plain_metadata(document.metadata)
    # Our engine counts suggestions, which keeps numbers apart among workers; the client's object
    # has no field for that.
    number = document.to_json().get("number", metadata.get(_NUMBER, 0))
    return Trial(
        int(number),
        str(document.id),
        dict(document.assignments),
        str(metadata.get(_ORIGIN, "")),
        int(metadata.get(_RERUNS, 0)),
        Lease.from_metadata(metadata),
        metadata,
        document.state != "closed",
    )


def _ask(connection: Any, request: Callable[[], Any]) -> tuple[Any, str | None]:
    """The answer, or what is wrong in words.

    Words instead of an exception: the client's exceptions carry the request, token included, and
    would hang on to ours as its context.
    """
    try:
        return request(), None
    except SigOptException as error:
        return None, without_token(connection, error)
