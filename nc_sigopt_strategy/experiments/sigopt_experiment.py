"""An experiment on one connection: in the embedded engine, or on a SigOpt server.

Which of them answers makes no difference here, but for two things that only ours have: a record
of any size beside the experiment, and numbers that count suggestions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nc_sigopt_strategy.client.pages import all_pages
from nc_sigopt_strategy.client.sigopt_client import ApiException
from nc_sigopt_strategy.errors import SuggestionLostError
from nc_sigopt_strategy.experiments.documents import observation_request, plain_metadata, record_of
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.experiments.suggestion import (
    RECLAIMS,
    Place,
    Suggestion,
    suggestion_metadata,
)
from nc_sigopt_strategy.results.metric_names import ACCURACY
from nc_sigopt_strategy.results.trial_record import TrialRecord


class SigOptExperiment:
    """A created or joined experiment; an ``Experiment`` without a copy.

    Args:
        connection: A ``sigopt.Connection``.
        document: The experiment as the connection returned it.
        worker: Who works on it; ``None`` to look only, or where there is only one.

    Attributes:
        metric_names: Of all its metrics.
        parameters: Parameter name to its values.
    """

    def __init__(self, connection: Any, document: Any, worker: Worker | None = None) -> None:
        self.connection = connection
        self.worker = worker
        self.document = document
        self.id: str = str(document.id)
        self.shown_id: str = self.id
        self.name: str = document.name
        self.metric_names: tuple[str, ...] = tuple(m.name for m in document.metrics)
        self.parameters: dict[str, tuple[str, ...]] = {
            p.name: tuple(v.name for v in p.categorical_values) for p in document.parameters
        }
        self.missed_updates = 0
        self._accuracy = next((m for m in document.metrics if m.name == ACCURACY), None)

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

    def refresh(self) -> None:
        """Read the document again."""
        self.document = self._endpoint.fetch()

    def share_among(self, workers: int) -> None:
        """Let at least this many workers ask at the same time."""
        if workers > (self.document.parallel_bandwidth or 1):
            self.document = self._endpoint.update(parallel_bandwidth=workers)

    def read_record(self) -> ExperimentRecord:
        """The record kept with the experiment; of a SigOpt server what its metadata holds.

        Raises:
            ExperimentError: It is none of this strategy's.
        """
        raw = self._record_request("GET", None)
        if raw is not None:
            return ExperimentRecord.from_json(raw.get("record") or {})
        return ExperimentRecord.from_metadata(plain_metadata(self._endpoint.fetch().metadata))

    def write_record(self, record: ExperimentRecord) -> None:
        """Replace the record kept with the experiment."""
        if self._record_request("PUT", {"record": record.to_json()}) is None:
            self._endpoint.update(metadata=record.to_metadata())

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
        reruns: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Suggestion:
        """Open a suggestion; see ``Experiment``."""
        said = self._suggestion_metadata(origin, number, reruns)
        request: dict[str, Any] = {"metadata": {**said, **(metadata or {})}}
        if assignments is not None:
            request["assignments"] = dict(assignments)
        return Suggestion.of_document(self._suggestions().create(**request))

    def open_suggestions(self) -> list[Suggestion]:
        """Suggestions without an observation, oldest first, whosever they are."""
        return self._listed(state="open")

    def suggestions(self) -> list[Suggestion]:
        """All suggestions, oldest first, observed ones included."""
        return self._listed()

    def take_over(self, suggestion: Suggestion) -> Suggestion:
        """Note that a suggestion of this worker's own is run again after a process died."""
        taken = dataclasses.replace(suggestion, reruns=suggestion.reruns + 1)
        self.annotate(
            suggestion,
            self._suggestion_metadata(suggestion.origin, suggestion.number, taken.reruns),
        )
        return taken

    def annotate(self, suggestion: Suggestion, entries: Mapping[str, Any]) -> None:
        """Set entries of a suggestion's metadata; the others stay as they were read."""
        self._suggestion(suggestion.suggestion_id).update(
            metadata={**suggestion.metadata, **entries}
        )

    def renew(self, suggestion_id: str) -> None:
        """Renew the lease of a suggestion of this worker's."""
        if self.worker is None:
            return
        endpoint = self._suggestion(suggestion_id)
        known = plain_metadata(endpoint.fetch().metadata)
        endpoint.update(metadata={**known, **self.worker.lease().to_metadata()})

    def withdraw(self, suggestion: Suggestion) -> bool:
        """Take an open suggestion back; see ``Experiment``."""
        try:
            self._suggestion(suggestion.suggestion_id).delete()
        except ApiException as error:
            if error.status_code in (400, 404):
                return False
            raise
        return True

    def reclaim(self, suggestion: Suggestion) -> bool:
        """Take back a suggestion that another worker left, unless that worker observed it.

        SigOpt's own server deletes an observed suggestion too, and takes no observation of it
        from then on. So whether there was one is looked up afterwards.
        """
        if not self.withdraw(suggestion):
            return False
        observed = (str(found.suggestion) for found in self.observation_documents())
        return suggestion.suggestion_id not in observed

    def place_of(self, suggestion: Suggestion) -> Place:
        """Where a suggestion of this worker's stands among the others'."""
        # Open ones first: what is observed meanwhile is counted twice rather than not at all.
        ahead = [
            other
            for other in self.open_suggestions()
            if int(other.suggestion_id) < int(suggestion.suggestion_id)
        ]
        self.refresh()
        taken = any(other.assignments == suggestion.assignments for other in ahead)
        taken = taken or self._was_reclaimed_before(suggestion)
        return Place(self.observed, len(ahead), taken)

    def observe(
        self,
        record: TrialRecord,
        fingerprint: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Report a trial; see ``Experiment``.

        Raises:
            SuggestionLostError: Another worker has taken the suggestion over.
        """
        request = observation_request(record, self.metric_names, fingerprint, metadata)
        try:
            return str(self._observations().create(**request).id)
        except ApiException as error:
            if error.status_code not in (400, 404) or not self._is_gone(record.suggestion_id):
                raise
        # Outside of the handler: the client's exception would hang on to the request.
        raise SuggestionLostError(
            f"Suggestion {record.suggestion_id} was taken over by another worker.",
            "Set lease_seconds higher if this worker was only slow.",
        )

    def trials(self) -> list[tuple[TrialRecord, str | None]]:
        """All observed trials as records, in run order, each with its graph's fingerprint."""
        threshold = self.threshold
        found = [self.trial_of(document, threshold) for document in self.observation_documents()]
        return sorted(found, key=lambda pair: pair[0].number)

    def observation_documents(self) -> Iterator[Any]:
        """All observations as the client returns them, newest first."""
        yield from all_pages(self._observations().fetch())

    def trial_of(self, document: Any, threshold: float | None) -> tuple[TrialRecord, str | None]:
        """An observation as a record, with its graph's fingerprint.

        Args:
            document: The observation as the client returned it, here or elsewhere.
            threshold: ``self.threshold``, which takes a request where the record has it.
        """
        return record_of(document, lambda accuracy: self._met(accuracy, threshold))

    def news(self, known: Collection[str]) -> list[tuple[TrialRecord, str | None]]:
        """Trials that other workers observed; the document is read again too."""
        self.refresh()
        if self.observed <= len(known):
            return []
        return [pair for pair in self.trials() if pair[0].observation_id not in known]

    def flush(self, patience_seconds: float) -> None:
        """Nothing: there is no copy that could lag behind."""

    def best(self) -> Mapping[str, str] | None:
        """Assignments of the best observation, by the engine's word; see ``Experiment``."""
        for document in all_pages(self._endpoint.best_assignments().fetch()):
            return dict(document.assignments)
        return None

    def _was_reclaimed_before(self, suggestion: Suggestion) -> bool:
        """Whether another worker took up the same left trial, by a suggestion before this one.

        That may be observed already, so that it is not among the open ones any more.
        """
        left = suggestion.metadata.get(RECLAIMS)
        return left is not None and any(
            other.metadata.get(RECLAIMS) == left
            and int(other.suggestion_id) < int(suggestion.suggestion_id)
            for other in self.suggestions()
        )

    def _listed(self, **query: Any) -> list[Suggestion]:
        pages = all_pages(self._suggestions().fetch(**query))
        return sorted(
            map(Suggestion.of_document, pages), key=lambda found: int(found.suggestion_id)
        )

    def _is_gone(self, suggestion_id: str | None) -> bool:
        """Whether there was a suggestion and it has been taken back.

        The list is asked and not the suggestion itself: a 404 would leave open whether it is the
        suggestion that is not there, the experiment, or the server behind its proxy.
        """
        if suggestion_id is None:
            return False
        listed = all_pages(self._suggestions().fetch(id=suggestion_id))
        return all(str(document.id) != suggestion_id for document in listed)

    def _suggestion_metadata(self, origin: str, number: int, reruns: int) -> dict[str, Any]:
        lease = None if self.worker is None else self.worker.lease()
        return suggestion_metadata(origin, number, reruns, lease)

    def _met(self, accuracy: float, threshold: float | None) -> bool | None:
        if self._accuracy is None or threshold is None:
            return None
        if self._accuracy.objective == "minimize":
            return bool(accuracy <= threshold)
        return bool(accuracy >= threshold)

    @property
    def _endpoint(self) -> Any:
        return self.connection.experiments(self.id)

    def _suggestions(self) -> Any:
        return self._endpoint.suggestions()

    def _suggestion(self, suggestion_id: str) -> Any:
        return self._endpoint.suggestions(suggestion_id)

    def _observations(self) -> Any:
        return self._endpoint.observations()

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
