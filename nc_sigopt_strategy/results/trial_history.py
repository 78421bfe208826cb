"""All trials of an experiment, and the questions that a run asks of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.space.assignments import AssignmentsKey, assignments_key

# Two latencies differ if they lie farther apart than this many standard errors.
ERRORS_APART = 1.96

Latency = Callable[[TrialRecord], float]


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

    def finalists(
        self,
        count: int,
        latency: Latency | None = None,
        among: Sequence[TrialRecord] | None = None,
    ) -> list[TrialRecord]:
        """The ``count`` fastest trials that met the bound, and the default one if it met it.

        Args:
            count: How many.
            latency: What a trial's latency is taken to be; by default what was measured.
            among: Those that may win; ``None`` for all.
        """
        allowed = self.records if among is None else among
        found = fastest_feasible(allowed, count, latency)
        default = self.default
        if default is None or not default.meets_bound or default in found:
            return found
        return [*found, default] if default in allowed else found

    @property
    def default(self) -> TrialRecord | None:
        """The measured trial of INC's default configuration.

        Where that gave the same graph as an earlier trial, it is the earlier one.
        """
        for record in self.records:
            if self.is_default(record.assignments) and record.state is TrialState.OBSERVED:
                return next(
                    (known for known in self.records if known.number == record.duplicate_of),
                    record,
                )
        return None


def measured_latency(trial: TrialRecord) -> float:
    """The latency as it was measured."""
    return trial.latency_seconds or 0.0


def is_faster(trial: TrialRecord, seconds: float, stderr: float | None) -> bool:
    """Whether a trial was faster, beyond the noise of both, than what took so many seconds."""
    error = math.hypot(trial.latency_stddev or 0.0, stderr or 0.0)
    return measured_latency(trial) + ERRORS_APART * error < seconds


def fastest_feasible(
    trials: Sequence[TrialRecord], count: int, latency: Latency | None = None
) -> list[TrialRecord]:
    """The ``count`` fastest trials that met the bound, fastest first, one per graph.

    Args:
        trials: In the order of their numbers.
        count: How many.
        latency: What a trial's latency is taken to be; by default what was measured.
    """
    feasible = [t for t in trials if t.meets_bound and t.duplicate_of is None]
    return sorted(feasible, key=latency or measured_latency)[:count]
