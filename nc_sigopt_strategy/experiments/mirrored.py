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
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nc_sigopt_strategy.client.checked_driver import UnusableAnswer
from nc_sigopt_strategy.experiments.lease import Standing
from nc_sigopt_strategy.experiments.outbox import KEY, Entry, Outbox
from nc_sigopt_strategy.experiments.record import ExperimentRecord, is_probed
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from nc_sigopt_strategy.experiments.suggestion import Place, Suggestion
from nc_sigopt_strategy.results.metric_names import ACCURACY, DURATION, LATENCY, OUTPUT_NOISE
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

logger = logging.getLogger("nc_sigopt_strategy")

# Metadata of local suggestions that stand for another worker's.
_SUGGESTION, _OBSERVATION = "server_suggestion", "server_observation"
SERVER_ORIGIN = "server"
# So many trials at most know less together than probes do.
_PROBES_HELP = 20


class MirroredExperiment:
    """An ``Experiment`` that lives in the local store and has a copy on a SigOpt server.

    Args:
        local: The experiment in the local store.
        remote: Its copy on the server.
        server_suggests: Whether the server's engine is asked for assignments.
        clock: As for ``Outbox``.
    """

    def __init__(
        self,
        local: SigOptExperiment,
        remote: SigOptExperiment,
        *,
        server_suggests: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local = local
        self.remote = remote
        self.id = local.id
        self.shown_id = remote.id
        self.name = local.name
        self._server_suggests = server_suggests
        self._record_due = False
        self._has_what_others_measured = False
        self._keys: dict[str, str] = {}
        self._said: set[str] = set()
        # Local suggestions that stand for what others have open on the server, by its id there.
        self._copies: dict[str, Suggestion] = {}
        entries, imported = self._in_local_store()
        self._outbox = Outbox(remote, entries, imported, clock)
        self._outbox.deliver()

    @property
    def threshold(self) -> float | None:
        """What the accuracy has to reach, by the local store."""
        return self.local.threshold

    @property
    def is_shared(self) -> bool:
        """Whether several workers may be at work: they meet on the server."""
        return self.remote.is_shared

    @property
    def observed(self) -> int:
        """Observations that the local store knows."""
        return self.local.observed

    @property
    def missed_updates(self) -> int:
        """Trials that the server has not been told of, or refused."""
        return self._outbox.pending + self._outbox.refused

    def refresh(self) -> None:
        """Read the local document again."""
        self.local.refresh()

    def share_among(self, workers: int) -> None:
        """Let at least this many workers ask at the same time."""
        self.local.share_among(workers)
        self._outbox.call(lambda: self.remote.share_among(workers))

    def read_record(self) -> ExperimentRecord:
        """The whole record, which the local store has."""
        return self.local.read_record()

    def write_record(self, record: ExperimentRecord) -> None:
        """Replace the record; the server, if it does not answer, gets it with the next news."""
        self.local.write_record(record)
        self._record_due = not self._outbox.call(lambda: self.remote.write_record(record))

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
        reruns: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Suggestion:
        """Open a suggestion, of the server's engine if that is to suggest and answers."""
        key = uuid.uuid4().hex
        server_suggestion = None
        if assignments is None and self._server_suggests:
            asked: Suggestion | None = self._outbox.call(lambda: self._ask(number, key))
            if asked is not None:
                assignments, origin = asked.assignments, SERVER_ORIGIN
                server_suggestion = asked.suggestion_id
            else:
                # Should the server have made one after all, it is of other assignments.
                key = uuid.uuid4().hex
        suggestion = self.local.suggest(
            number,
            assignments=assignments,
            origin=origin,
            reruns=reruns,
            metadata={**(metadata or {}), KEY: key},
        )
        self._keys[suggestion.suggestion_id] = key
        self._outbox.put(Entry(key, suggestion, server_suggestion=server_suggestion))
        self._outbox.deliver()
        return suggestion

    def open_suggestions(self) -> list[Suggestion]:
        """This worker's from the local store, the others' from the server."""
        own = [s for s in self.local.open_suggestions() if _SUGGESTION not in s.metadata]
        return [*own, *(self._outbox.call(self._copy_open) or [])]

    def suggestions(self) -> list[Suggestion]:
        """All that the local store knows, copies of other workers' included."""
        return self.local.suggestions()

    def take_over(self, suggestion: Suggestion) -> Suggestion:
        """Note that a suggestion of this worker's own is run again after a process died."""
        return self.local.take_over(suggestion)

    def renew(self, suggestion_id: str) -> None:
        """Renew the lease of a suggestion of this worker's, here and on the server."""
        self.local.renew(suggestion_id)
        self._outbox.renew(self._keys.get(suggestion_id, ""))

    def withdraw(self, suggestion: Suggestion) -> bool:
        """Take an open suggestion of this worker's back, here and on the server."""
        done = self.local.withdraw(suggestion)
        entry = self._outbox.entry(self._keys.get(suggestion.suggestion_id, ""))
        if done and entry is not None:
            entry.withdrawn = True
            self._outbox.deliver()
        return done

    def reclaim(self, suggestion: Suggestion) -> bool:
        """Take back another worker's on the server, where all workers look."""
        done = self._outbox.call(lambda: self.remote.reclaim(suggestion)) is True
        copied = self._copies.pop(suggestion.suggestion_id, None) if done else None
        if copied is not None:
            self.local.withdraw(copied)
        return done

    def place_of(self, suggestion: Suggestion) -> Place:
        """Where a suggestion stands on the server; as if alone while that does not answer."""
        entry = self._outbox.entry(self._keys.get(suggestion.suggestion_id, ""))
        if entry is None or entry.server_suggestion is None:
            return Place()
        on_server = suggestion.with_id(entry.server_suggestion)
        place: Place | None = self._outbox.call(lambda: self.remote.place_of(on_server))
        return place or Place()

    def observe(
        self,
        record: TrialRecord,
        fingerprint: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Report a trial; it is durable in the local store, and the server is told if it can."""
        observation_id = self.local.observe(record, fingerprint, metadata)
        entry = self._outbox.entry(self._keys.get(record.suggestion_id or "", ""))
        if entry is not None:
            entry.record, entry.fingerprint = record, fingerprint
        self._outbox.deliver()
        return observation_id

    def trials(self) -> list[tuple[TrialRecord, str | None]]:
        """All observed trials that the local store knows, other workers' included."""
        return self.local.trials()

    def news(self, known: Collection[str]) -> list[tuple[TrialRecord, str | None]]:
        """Trials that other workers observed, once they have been copied from the server."""
        self._outbox.call(self._pull)
        return self.local.news(known)

    def flush(self, patience_seconds: float) -> None:
        """Try for some time to tell the server what it missed."""
        self._outbox.flush(patience_seconds)

    def best(self) -> Mapping[str, str] | None:
        """Assignments of the best observation, by the local engine's word."""
        return self.local.best()

    def _ask(self, number: int, key: str) -> Suggestion:
        """A suggestion of the server's engine, which is none if it does not fit.

        Raises:
            UnusableAnswer: It is of another search space.
        """
        asked = self.remote.suggest(number, origin=SERVER_ORIGIN, metadata={KEY: key})
        if self._fits(asked.assignments):
            return asked
        self._say_once("suggests what is not in the search space; our sampler suggests")
        raise UnusableAnswer("The suggestion is not in the search space.")

    def _pull(self) -> None:
        """Copy what others observed on the server, and the reference they measured against."""
        if self._record_due:
            self.remote.write_record(self.local.read_record())
            self._record_due = False
        self.remote.refresh()
        if self.remote.observed > len(self._outbox.known):
            threshold = self.local.threshold
            for document in reversed(list(self.remote.observation_documents())):
                if str(document.id) not in self._outbox.known:
                    self._import(document, threshold)
        if not self._has_what_others_measured:
            self._pull_record()

    def _copy_open(self) -> list[Suggestion]:
        """What other workers have open on the server; the local store has the same afterwards."""
        there = [
            found
            for found in self.remote.open_suggestions()
            if not self._is_mine(found) and self._fits(found.assignments)
        ]
        for suggestion in there:
            if suggestion.suggestion_id not in self._copies:
                self._copies[suggestion.suggestion_id] = self.local.suggest(
                    0,
                    assignments=suggestion.assignments,
                    origin=suggestion.origin,
                    metadata={_SUGGESTION: suggestion.suggestion_id},
                )
        still_open = {suggestion.suggestion_id for suggestion in there}
        for suggestion_id in self._copies.keys() - still_open:
            # Observed trials were imported before; this one was taken back.
            self.local.withdraw(self._copies.pop(suggestion_id))
        return there

    def _pull_record(self) -> None:
        """The reference and the probes of whoever began; later on probes would bring little."""
        known, early = self.local.read_record(), self.local.observed < _PROBES_HELP
        if known.reference is None or (early and not is_probed(known)):
            there = self.remote.read_record()
            record = dataclasses.replace(
                known,
                reference=known.reference or there.reference,
                probing=there.probing if not is_probed(known) else known.probing,
            )
            if record != known:
                self.local.write_record(record)
            known = record
        self._has_what_others_measured = known.reference is not None and (
            is_probed(known) or not early
        )

    def _import(self, document: Any, threshold: float | None) -> None:
        record, fingerprint = self.local.trial_of(document, threshold)
        if not self._can_keep(record):
            self._say_once("has observations that are not of this experiment; they are left out")
            self._outbox.known.add(str(document.id))
            return
        copied = self._copies.pop(str(document.suggestion), None)
        suggestion = copied or self.local.suggest(
            0, assignments=record.assignments, origin=record.origin, metadata={_SUGGESTION: ""}
        )
        self.local.annotate(suggestion, {_OBSERVATION: str(document.id)})
        if record.duplicate_of is not None:
            # The number means a trial of another worker's count.
            record = dataclasses.replace(record, duplicate_of=self._first_like(record))
        own = dataclasses.replace(
            record, number=suggestion.number, suggestion_id=suggestion.suggestion_id
        )
        self.local.observe(own, fingerprint)
        self._outbox.known.add(str(document.id))

    def _can_keep(self, record: TrialRecord) -> bool:
        """Whether another worker's trial is one of this experiment."""
        measured = {
            ACCURACY: record.accuracy,
            LATENCY: record.latency_seconds,
            DURATION: record.duration_seconds,
            OUTPUT_NOISE: record.output_noise,
            **record.stored_metrics,
        }
        whole = all(measured.get(name) is not None for name in self.local.metric_names)
        return self._fits(record.assignments) and (whole or record.state is TrialState.FAILED)

    def _fits(self, assignments: Mapping[str, Any]) -> bool:
        """Whether assignments name a value of each parameter, and nothing else."""
        parameters = self.local.parameters
        return assignments.keys() == parameters.keys() and all(
            value in parameters[name] for name, value in assignments.items()
        )

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            logger.warning("The SigOpt server %s.", what)

    def _first_like(self, record: TrialRecord) -> int | None:
        """Number of the earliest trial with the very values of this one."""
        for other, _ in self.local.trials():
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
        for suggestion in self.local.suggestions():
            if (imported := suggestion.metadata.get(_OBSERVATION)) is not None:
                if suggestion.is_open:  # the process died in the middle of an import
                    self.local.withdraw(suggestion)
                else:
                    imported_ids.add(str(imported))
            elif (copied := suggestion.metadata.get(_SUGGESTION)) is not None:
                if suggestion.is_open:
                    self._copies[str(copied)] = suggestion
            elif (key := suggestion.metadata.get(KEY)) is not None:
                entries[suggestion.suggestion_id] = Entry(str(key), suggestion)
                self._keys[suggestion.suggestion_id] = str(key)
        for record, fingerprint in self.local.trials():
            entry = entries.get(record.suggestion_id or "")
            if entry is not None:
                entry.record, entry.fingerprint = record, fingerprint
        return list(entries.values()), imported_ids

    def _is_mine(self, suggestion: Suggestion) -> bool:
        worker = self.local.worker
        return worker is not None and worker.standing(suggestion.lease) is Standing.MINE
