"""All trials of an experiment, and the questions that a run asks of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key


class TrialHistory:
    """Trials in the order of their numbers, found by assignments or by the graph they gave.

    Args:
        default: Assignments of INC's default configuration.
        known: Trials of earlier processes with their graphs' fingerprints.
    """

    def __init__(
        self, default: Mapping[str, str], known: Iterable[tuple[TrialRecord, str | None]] = ()
    ) -> None:
        self.records: list[TrialRecord] = []
        self.observation_ids: set[str] = set()
        self.by_assignments: dict[AssignmentsKey, TrialRecord] = {}
        self.failures_in_a_row = 0
        self._default = assignments_key(default)
        self._by_fingerprint: dict[str, TrialRecord] = {}
        for record, fingerprint in known:
            self.merge(record, fingerprint)

    def merge(self, record: TrialRecord, fingerprint: str | None) -> None:
        """Add a trial of another process; what failed there may have been its fault."""
        failures = self.failures_in_a_row
        self.add(record, fingerprint)
        self.failures_in_a_row = failures

    def add(self, record: TrialRecord, fingerprint: str | None) -> None:
        """Add a trial; of several with the same assignments or graph the first is found."""
        self.records.append(record)
        self.records.sort(key=lambda known: known.number)
        if record.observation_id is not None:
            self.observation_ids.add(record.observation_id)
        if not record.interrupted:
            self.by_assignments.setdefault(assignments_key(record.assignments), record)
        if fingerprint is not None:
            self._by_fingerprint.setdefault(fingerprint, record)
        failed = record.state is TrialState.FAILED
        self.failures_in_a_row = self.failures_in_a_row + 1 if failed else 0

    def with_assignments(self, assignments: Mapping[str, str]) -> TrialRecord | None:
        """The trial with these assignments."""
        return self.by_assignments.get(assignments_key(assignments))

    def with_graph(self, fingerprint: str) -> TrialRecord | None:
        """The trial whose model was the same graph."""
        return self._by_fingerprint.get(fingerprint)

    def is_default(self, assignments: Mapping[str, str]) -> bool:
        """Whether these are INC's default assignments."""
        return assignments_key(assignments) == self._default

    @property
    def best(self) -> TrialRecord | None:
        """The fastest trial so far that met the bound."""
        return next(iter(fastest_feasible(self.records, 1)), None)

    def trials_by_worker(self) -> dict[str, int]:
        """Name of a worker to the number of its trials; empty if there was only one."""
        counts = Counter(record.worker for record in self.records if record.worker is not None)
        return dict(sorted(counts.items())) if len(counts) > 1 else {}

    def finalists(self, count: int) -> list[TrialRecord]:
        """The ``count`` fastest trials that met the bound, and the default one if it met it."""
        found = fastest_feasible(self.records, count)
        return found + [
            record
            for record in self.records
            if record.meets_bound
            and record.duplicate_of is None
            and self.is_default(record.assignments)
            and record not in found
        ]


def fastest_feasible(trials: Sequence[TrialRecord], count: int) -> list[TrialRecord]:
    """The ``count`` fastest trials that met the bound, fastest first, one per graph."""
    feasible = [t for t in trials if t.meets_bound and t.duplicate_of is None]
    return sorted(feasible, key=lambda t: t.latency_seconds or 0.0)[:count]
