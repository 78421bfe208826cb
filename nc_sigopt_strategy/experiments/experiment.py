"""What a tuning run sees of its experiment, wherever that is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.experiments.suggestion import Place, Suggestion
from nc_sigopt_strategy.results.trial_record import TrialRecord


class Experiment(Protocol):
    """A SigOpt experiment that one worker works on, alone or beside others.

    Every suggestion ends in exactly one observation, or is taken back. What a method tells to be
    stored is durable when it returns; where it is not, the method raises the client's
    ``SigOptException``. That is said of the store that the experiment lives in: a copy on a server
    is told when the server answers, and never makes a call wait long or fail.

    One thread calls all methods, but for ``renew``, which any thread may call at any time.
    """

    @property
    def id(self) -> str:
        """Its id in the store that it lives in."""

    @property
    def shown_id(self) -> str:
        """What a person continues it by: with a copy on a server the id there."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def threshold(self) -> float | None:
        """What the accuracy has to reach: a constraint, or without one what the record says."""

    @property
    def is_shared(self) -> bool:
        """Whether several workers may be at work, by what was read last."""

    @property
    def observed(self) -> int:
        """Observations, by what was read last."""

    @property
    def missed_updates(self) -> int:
        """Trials that a copy on a server has not been told of; 0 without one."""

    def refresh(self) -> None:
        """Read again what ``is_shared`` and ``observed`` go by."""

    def share_among(self, workers: int) -> None:
        """Let at least this many workers ask at the same time."""

    def read_record(self) -> ExperimentRecord:
        """The record kept with the experiment; a SigOpt server keeps only a part of it.

        Raises:
            ExperimentError: It is none of this strategy's.
        """

    def write_record(self, record: ExperimentRecord) -> None:
        """Replace the record kept with the experiment."""

    def suggest(
        self,
        number: int,
        *,
        assignments: Mapping[str, str] | None = None,
        origin: str,
        reruns: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Suggestion:
        """Open a suggestion: the given assignments, or the engine's own.

        Args:
            number: Position of the trial where the server does not count suggestions.
            assignments: What to try; ``None`` asks the engine.
            origin: Who proposes it.
            reruns: How often a process died with the same assignments.
            metadata: Further metadata.
        """

    def open_suggestions(self) -> list[Suggestion]:
        """Suggestions without an observation, whosever they are; each worker's oldest first."""

    def suggestions(self) -> list[Suggestion]:
        """All suggestions, oldest first, observed ones included."""

    def take_over(self, suggestion: Suggestion) -> Suggestion:
        """Note that a suggestion of this worker's own is run again after a process died."""

    def renew(self, suggestion_id: str) -> None:
        """Renew the lease of a suggestion of this worker's."""

    def withdraw(self, suggestion: Suggestion) -> bool:
        """Take an open suggestion of this worker's back, so that nobody observes it.

        Returns:
            False if it was observed or taken back before.
        """

    def reclaim(self, suggestion: Suggestion) -> bool:
        """Take back a suggestion that another worker left.

        Returns:
            False if it was observed or taken back before. Of several workers that try, one gets
            True on a store or server of ours. SigOpt's own may say so to several, so a suggestion
            that is made in its place names it as ``RECLAIMS``, and ``place_of`` tells all but the
            first of those that they are too late.
        """

    def place_of(self, suggestion: Suggestion) -> Place:
        """Where a suggestion of this worker's stands among the others'."""

    def observe(
        self,
        record: TrialRecord,
        fingerprint: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Report a trial, measured or failed.

        Args:
            record: The trial.
            fingerprint: Of its graph, if it was measured.
            metadata: Further metadata.

        Returns:
            The observation's id.

        Raises:
            SuggestionLostError: Another worker has taken the suggestion over.
        """

    def trials(self) -> list[tuple[TrialRecord, str | None]]:
        """All observed trials as records, in run order, each with its graph's fingerprint."""

    def news(self, known: Collection[str]) -> list[tuple[TrialRecord, str | None]]:
        """Trials that other workers observed; what ``refresh`` reads is read again too.

        Args:
            known: Ids of the observations that are known.
        """

    def flush(self, patience_seconds: float) -> None:
        """Bring a copy on a server up to date, if there is one."""

    def best(self) -> Mapping[str, str] | None:
        """Assignments of the best observation that meets the constraint, by the engine's word.

        One of the Pareto set where accuracy is optimized too.
        """
