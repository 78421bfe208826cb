"""An experiment in the local store that a SigOpt server records too.

A SigOpt server cannot suggest here: it never models an experiment whose parameters are all
categorical, and builds their full Cartesian product, which at these sizes hangs it. So the local
engine proposes, and each suggestion is created on the server with the assignments given (SigOpt's
documentation calls that a custom optimizer). A server of ours can be asked to suggest instead.

The local store is written first. What other workers have open on the server, and what they
observe, is copied into it, so that the local sampler learns from it and does not propose it again.
"""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.documents import plain_metadata, record_of
from nc_sigopt_strategy.experiments.experiment import Experiment, Place, Trial, list_experiments
from nc_sigopt_strategy.experiments.lease import Standing, Worker
from nc_sigopt_strategy.experiments.outbox import KEY, Entry, Outbox
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.results.trial_record import TrialRecord

logger = logging.getLogger("nc_sigopt_strategy")

_URL, _ID, _WORKER = "server_url", "server_experiment", "server_worker"
# Metadata of local suggestions that stand for another worker's.
_SUGGESTION, _OBSERVATION = "server_suggestion", "server_observation"
SERVER_ORIGIN = "server"


class MirroredExperiment(Experiment):
    """An ``Experiment`` of the local store with a copy on a SigOpt server.

    Args:
        local: The experiment in the local store.
        remote: Its copy on the server.
        server_suggests: Whether the server's engine is asked for assignments.
    """

    def __init__(self, local: Experiment, remote: Experiment, *, server_suggests: bool) -> None:
        super().__init__(local.connection, local.document, local.worker)
        self.remote = remote
        self.shown_id = remote.id
        self._server_suggests = server_suggests
        self._record_due = False
        self._has_reference = False
        self._keys: dict[str, str] = {}
        # Local suggestions that stand for what others have open on the server, by its id there.
        self._copies: dict[str, Trial] = {}
        entries, imported = self._in_local_store()
        self._outbox = Outbox(remote, entries, imported)
        self._outbox.deliver()

    @property
    def missed_updates(self) -> int:
        return self._outbox.pending + self._outbox.refused

    @property
    def is_shared(self) -> bool:
        return (self.remote.document.parallel_bandwidth or 1) > 1

    @classmethod
    def create_both(
        cls,
        local: Any,
        remote: Any,
        definition: Definition,
        server_url: str,
        worker: Worker,
        *,
        server_suggests: bool = False,
    ) -> MirroredExperiment:
        """Create the experiment on the server, then in the local store.

        Args:
            local: Connection to the embedded engine.
            remote: Connection to the server.
            definition: What the experiment is made of.
            server_url: Kept in the local store, to find it again.
            worker: Who works on it.
            server_suggests: Whether the server's engine is asked for assignments.
        """
        copy = Experiment.create(remote, definition, worker)
        link = _link(server_url, copy.id, worker)
        own = Experiment.create(local, dataclasses.replace(definition, metadata=link), worker)
        return cls(own, copy, server_suggests=server_suggests)

    @classmethod
    def join_both(
        cls,
        local: Any,
        copy: Experiment,
        server_url: str,
        worker: Worker,
        *,
        server_suggests: bool = False,
    ) -> MirroredExperiment:
        """Work on an experiment of the server, with what this worker's local store has of it.

        Args:
            local: Connection to the embedded engine.
            copy: The experiment on the server.
            server_url: As for ``create_both``.
            worker: Who works on it.
            server_suggests: As for ``create_both``.
        """
        link = _link(server_url, copy.id, worker)
        for document in list_experiments(local):
            if plain_metadata(document.metadata) == link:
                return cls(
                    Experiment(local, document, worker), copy, server_suggests=server_suggests
                )
        definition = Definition.of_document(copy.document, copy.read_record())
        own = Experiment.create(local, dataclasses.replace(definition, metadata=link), worker)
        return cls(own, copy, server_suggests=server_suggests)

    def share_among(self, workers: int) -> None:
        super().share_among(workers)
        self._outbox.call(lambda: self.remote.share_among(workers))

    def write_record(self, record: ExperimentRecord) -> None:
        super().write_record(record)
        self._record_due = not self._outbox.call(lambda: self.remote.write_record(record))

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
        reruns: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Trial:
        key = uuid.uuid4().hex
        server_suggestion = None
        if assignments is None and self._server_suggests:
            asked: Trial | None = self._outbox.call(
                lambda: self.remote.suggest(number, origin=SERVER_ORIGIN, metadata={KEY: key})
            )
            if asked is not None:
                assignments, origin = asked.assignments, SERVER_ORIGIN
                server_suggestion = asked.suggestion_id
            else:
                # Should the server have made one after all, it is of other assignments.
                key = uuid.uuid4().hex
        trial = super().suggest(
            number,
            assignments=assignments,
            origin=origin,
            reruns=reruns,
            metadata={**(metadata or {}), KEY: key},
        )
        self._keys[trial.suggestion_id] = key
        self._outbox.put(Entry(key, trial, server_suggestion=server_suggestion))
        self._outbox.deliver()
        return trial

    def observe(
        self,
        record: TrialRecord,
        fingerprint: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        observation_id = super().observe(record, fingerprint, metadata)
        entry = self._outbox.entry(self._keys.get(record.suggestion_id or "", ""))
        if entry is not None:
            entry.record, entry.fingerprint = record, fingerprint
        self._outbox.deliver()
        return observation_id

    def withdraw(self, trial: Trial) -> bool:
        done = super().withdraw(trial)
        entry = self._outbox.entry(self._keys.get(trial.suggestion_id, ""))
        if done and entry is not None:
            entry.withdrawn = True
            self._outbox.deliver()
        return done

    def renew(self, suggestion_id: str) -> None:
        super().renew(suggestion_id)
        self._outbox.renew(self._keys.get(suggestion_id, ""))

    def open_suggestions(self) -> list[Trial]:
        """This worker's from the local store, the others' from the server."""
        own = [t for t in super().open_suggestions() if _SUGGESTION not in t.metadata]
        return [*own, *(self._outbox.call(self._copy_open) or [])]

    def reclaim(self, trial: Trial) -> bool:
        done = self._outbox.call(lambda: self.remote.withdraw(trial)) is True
        copied = self._copies.pop(trial.suggestion_id, None) if done else None
        if copied is not None:
            super().withdraw(copied)
        return done

    def place_of(self, trial: Trial) -> Place:
        entry = self._outbox.entry(self._keys.get(trial.suggestion_id, ""))
        if entry is None or entry.server_suggestion is None:
            return Place()
        on_server = trial.with_id(entry.server_suggestion)
        place: Place | None = self._outbox.call(lambda: self.remote.place_of(on_server))
        return place or Place()

    def news(self, known: Collection[str]) -> list[tuple[TrialRecord, str | None]]:
        self._outbox.call(self._pull)
        return super().news(known)

    def flush(self, patience_seconds: float) -> None:
        self._outbox.flush(patience_seconds)

    def _pull(self) -> None:
        """Copy what others observed on the server, and the reference they measured against."""
        if self._record_due:
            self.remote.write_record(self.read_record())
            self._record_due = False
        self.remote.refresh()
        if self.remote.observed > len(self._outbox.known):
            threshold = self.threshold
            for document in reversed(list(self.remote.observation_documents())):
                if str(document.id) not in self._outbox.known:
                    self._import(document, threshold)
        if not self._has_reference:
            self._pull_reference()

    def _copy_open(self) -> list[Trial]:
        """What other workers have open on the server; the local store has the same afterwards."""
        there = [t for t in self.remote.open_suggestions() if not self._is_mine(t)]
        for trial in there:
            if trial.suggestion_id not in self._copies:
                self._copies[trial.suggestion_id] = super().suggest(
                    0,
                    assignments=trial.assignments,
                    origin=trial.origin,
                    metadata={_SUGGESTION: trial.suggestion_id},
                )
        still_open = {trial.suggestion_id for trial in there}
        for suggestion_id in self._copies.keys() - still_open:
            # Observed trials were imported before; this one was taken back.
            super().withdraw(self._copies.pop(suggestion_id))
        return there

    def _pull_reference(self) -> None:
        record = self.read_record()
        if record.reference is None:
            record = dataclasses.replace(record, reference=self.remote.read_record().reference)
            if record.reference is not None:
                super().write_record(record)
        self._has_reference = record.reference is not None

    def _import(self, document: Any, threshold: float | None) -> None:
        record, fingerprint = record_of(document, lambda accuracy: self._met(accuracy, threshold))
        copied = self._copies.pop(str(document.suggestion), None)
        trial = copied or super().suggest(
            0, assignments=record.assignments, origin=record.origin, metadata={_SUGGESTION: ""}
        )
        self._suggestions(trial.suggestion_id).update(
            metadata={**trial.metadata, _OBSERVATION: str(document.id)}
        )
        if record.duplicate_of is not None:
            # The number means a trial of another worker's count.
            record = dataclasses.replace(record, duplicate_of=self._first_like(record))
        own = dataclasses.replace(record, number=trial.number, suggestion_id=trial.suggestion_id)
        super().observe(own, fingerprint)
        self._outbox.known.add(str(document.id))

    def _first_like(self, record: TrialRecord) -> int | None:
        """Number of the earliest trial with the very values of this one."""
        for other, _ in self.trials():
            if (other.latency_seconds, other.accuracy) == (
                record.latency_seconds,
                record.accuracy,
            ):
                return other.number
        return None

    def _in_local_store(self) -> tuple[list[Entry], set[str]]:
        """This worker's own trials, any of which the server may lack; ids of imported ones."""
        imported_ids: set[str] = set()
        entries: dict[str, Entry] = {}
        for trial in self.suggestions():
            if (imported := trial.metadata.get(_OBSERVATION)) is not None:
                if trial.is_open:  # the process died in the middle of an import
                    super().withdraw(trial)
                else:
                    imported_ids.add(str(imported))
            elif (copied := trial.metadata.get(_SUGGESTION)) is not None:
                if trial.is_open:
                    self._copies[str(copied)] = trial
            elif (key := trial.metadata.get(KEY)) is not None:
                entries[trial.suggestion_id] = Entry(str(key), trial)
                self._keys[trial.suggestion_id] = str(key)
        for record, fingerprint in self.trials():
            entry = entries.get(record.suggestion_id or "")
            if entry is not None:
                entry.record, entry.fingerprint = record, fingerprint
        return list(entries.values()), imported_ids

    def _is_mine(self, trial: Trial) -> bool:
        return self.worker is not None and self.worker.standing(trial.lease) is Standing.MINE


def _link(server_url: str, experiment_id: str, worker: Worker) -> dict[str, str]:
    """Metadata that ties a local experiment to its copy on a server, for one worker."""
    return {_URL: server_url, _ID: experiment_id, _WORKER: worker.name}
