"""What a SigOpt server has yet to be told of the trials in the local store.

Nothing here makes tuning wait or end: a server that does not answer is left alone for a while, and
told later. Every suggestion and observation carries a key of ours, so that after a lost answer the
server is asked what it has, and nothing is posted twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.client.sigopt_client import ApiException, SigOptException, quoted
from nc_sigopt_strategy.errors import ExperimentError, SuggestionLostError
from nc_sigopt_strategy.experiments.documents import plain_metadata
from nc_sigopt_strategy.experiments.lease import Standing
from nc_sigopt_strategy.experiments.sigopt_experiment import SigOptExperiment
from nc_sigopt_strategy.experiments.suggestion import RECLAIMS, Suggestion
from nc_sigopt_strategy.results.trial_record import TrialRecord

logger = logging.getLogger("nc_sigopt_strategy")

KEY = "key"
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
# A server that hangs until the time-out may take this share of a run's time, at most.
SHARE_FOR_WAITING = 0.2
# Refusals of one request, which sending it again would not change.
_REFUSALS = (400, 409, 413, 422)


@dataclass
class Entry:
    """One trial of this worker's on its way to the server.

    Attributes:
        key: Names it in the metadata of what is posted.
        trial: The suggestion in the local store.
        record: How it ended; ``None`` while it is open.
        fingerprint: Of its graph.
        server_suggestion: The server's id of the suggestion, once that is known.
        withdrawn: Whether the suggestion was taken back.
    """

    key: str
    suggestion: Suggestion
    record: TrialRecord | None = None
    fingerprint: str | None = None
    server_suggestion: str | None = None
    withdrawn: bool = False


class Outbox:
    """Posts what the server has not got, in order, as soon as it answers.

    Args:
        remote: The experiment on the server.
        entries: What may be missing there. Before anything is posted the server is asked.
        known: Ids of the server's observations that the local store has from there.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        remote: SigOptExperiment,
        entries: Iterable[Entry] = (),
        known: Iterable[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.remote = remote
        # Ids of all the server's observations that the local store has too.
        self.known = set(known)
        self.refused = 0
        self._entries = {entry.key: entry for entry in entries}
        self._clock = clock
        self._turn = threading.RLock()
        self._pause = FIRST_PAUSE_SECONDS
        self._resume_at = 0.0
        self._complaining = True
        # Whether something may have been stored whose answer never came.
        self._unsure = True

    @property
    def pending(self) -> int:
        """Trials of which the server lacks something that it could have."""
        with self._turn:
            return sum(
                entry.record is not None or entry.server_suggestion is None
                for entry in self._entries.values()
            )

    @property
    def is_paused(self) -> bool:
        """Whether the server is being left alone."""
        return self._clock() < self._resume_at

    def put(self, entry: Entry) -> None:
        """Add a new suggestion."""
        with self._turn:
            self._entries[entry.key] = entry

    def entry(self, key: str) -> Entry | None:
        """The entry with this key, while it is not done with."""
        return self._entries.get(key)

    def deliver(self) -> bool:
        """Post what is due; False if the server did not take it, or is being left alone."""
        return self.call(lambda: None) is not None

    def call(self, request: Callable[[], Any]) -> Any:
        """Post what is due, then ask something more; its result, or ``None`` if that failed.

        A request that returns ``None`` gives True.
        """
        with self._turn:
            if self.is_paused:
                return None
            begun = self._clock()
            try:
                self._deliver_all()
                result = request()
            except (SigOptException, ExperimentError) as error:
                self._unsure = True
                self._put_off(error, self._clock() - begun)
                return None
            self._pause = FIRST_PAUSE_SECONDS
            if not self._complaining:
                logger.info("The SigOpt server answers again and has been told what it missed.")
            self._complaining = True
            return True if result is None else result

    def renew(self, key: str) -> None:
        """Renew the lease of a suggestion, unless somebody else uses the connection."""
        if self.is_paused or not self._turn.acquire(blocking=False):
            return
        try:
            entry = self._entries.get(key)
            if entry is not None and entry.server_suggestion is not None:
                suggestion = entry.server_suggestion
                self.call(lambda: self.remote.renew(suggestion))
        finally:
            self._turn.release()

    def flush(self, patience_seconds: float) -> None:
        """Try for some time to post all that is due."""
        deadline = self._clock() + patience_seconds
        while self.pending:
            self._resume_at = 0.0
            if self.deliver() or self._clock() + self._pause > deadline:
                return
            time.sleep(self._pause)

    def _deliver_all(self) -> None:
        if self._unsure:
            self._look()
        for entry in list(self._entries.values()):
            self._unsure = True
            try:
                self._deliver(entry)
            except SuggestionLostError as error:
                logger.info("%s", error.fact)
                del self._entries[entry.key]
            except ApiException as error:
                if error.status_code not in _REFUSALS or self._is_archived():
                    raise
                self._refuse(entry, error)
            self._unsure = False
        self._unsure = False

    def _deliver(self, entry: Entry) -> None:
        if entry.withdrawn:
            if entry.server_suggestion is not None:
                self.remote.withdraw(self._on_server(entry))
            del self._entries[entry.key]
            return
        if entry.server_suggestion is None:
            suggestion = entry.suggestion
            metadata = {KEY: entry.key}
            if RECLAIMS in suggestion.metadata:
                metadata[RECLAIMS] = suggestion.metadata[RECLAIMS]
            entry.server_suggestion = self.remote.suggest(
                suggestion.number,
                assignments=suggestion.assignments,
                origin=suggestion.origin,
                reruns=suggestion.reruns,
                metadata=metadata,
            ).suggestion_id
        if entry.record is not None:
            record = entry.record.with_suggestion(entry.server_suggestion)
            self.known.add(
                self.remote.observe(record, entry.fingerprint, metadata={KEY: entry.key})
            )
            del self._entries[entry.key]

    def _is_archived(self) -> bool:
        """Whether the experiment was archived on the server, which can be undone.

        What is refused meanwhile is kept, and posted once the experiment is active again.
        """
        self.remote.refresh()
        return str(self.remote.document.state) == "deleted"

    def _look(self) -> None:
        """Find out what the server has of the entries, and what it has that nobody waits for."""
        for document in self.remote.observation_documents():
            key = plain_metadata(document.metadata).get(KEY)
            if key in self._entries and self._entries[key].record is not None:
                self.known.add(str(document.id))
                del self._entries[key]
        for suggestion in self.remote.suggestions():
            found = self._entries.get(suggestion.metadata.get(KEY, ""))
            if found is not None and found.server_suggestion in (None, suggestion.suggestion_id):
                found.server_suggestion = suggestion.suggestion_id
            elif suggestion.is_open and self._is_mine(suggestion):
                # Asked for with an answer that never came, asked for twice because the first
                # request took its time, or of a local store that is gone.
                self.remote.withdraw(suggestion)

    def _is_mine(self, suggestion: Suggestion) -> bool:
        worker = self.remote.worker
        return (
            worker is not None
            and suggestion.lease is not None
            and worker.standing(suggestion.lease) is Standing.MINE
        )

    def _on_server(self, entry: Entry) -> Suggestion:
        return entry.suggestion.with_id(str(entry.server_suggestion))

    def _refuse(self, entry: Entry, error: Any) -> None:
        self.refused += 1
        del self._entries[entry.key]
        logger.warning(
            "The SigOpt server refuses trial %d for good (%s). It is in the local store.",
            entry.suggestion.number,
            quoted(self.remote.connection, error.message),
        )

    def _put_off(self, error: BaseException, spent_seconds: float) -> None:
        wait = max(self._pause, spent_seconds / SHARE_FOR_WAITING)
        self._resume_at = self._clock() + wait
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if self._complaining:
            self._complaining = False
            logger.warning(
                "The SigOpt server does not take an update (%s). Tuning goes on; everything is in "
                "the local store, and the server will be told when it answers again.",
                _in_words(error),
            )


def _in_words(error: BaseException) -> str:
    status = getattr(error, "status_code", None)
    return type(error).__name__ if status is None else f"status {status}"
