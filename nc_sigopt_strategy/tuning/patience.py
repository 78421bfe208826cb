"""When going on is not worth it: the budget is a limit, not a duty."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nc_sigopt_strategy.results.trial_history import (
    TrialHistory,
    is_faster,
    measured_latency,
)
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.choices import DEFAULT_PATIENCE, DEFAULT_SAMPLER, LOCAL, PARETO
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.winners.expectation import Expectation

# Less than this share of the latency is not worth another trial; what it costs to stop there
# stands in docs/measurements/tuning.md.
WORTH_A_TRIAL = 0.003


class Patience:
    """Counts the suggestions that nothing was expected of.

    With the sampler "quantization" that is its own expected improvement. The other samplers have
    none that could be asked for: there the trials count since the last that was faster beyond the
    noise, and only where the user says how many.

    Args:
        settings: How much patience, with which sampler and what goal.
        history: All trials; it grows.
        expectation: What the trials lead to expect.
        satisfied: Whether the best found so far is what the user asked for.
    """

    def __init__(
        self,
        settings: Settings,
        history: TrialHistory,
        expectation: Expectation,
        satisfied: Callable[[], bool],
    ) -> None:
        self._expects = settings.sampler == DEFAULT_SAMPLER and settings.suggestions == LOCAL
        patience = settings.patience
        if patience is None:
            patience = DEFAULT_PATIENCE if self._expects else 0
        self._patience = 0 if settings.goal == PARETO else patience
        self._history = history
        self._expectation = expectation
        self._satisfied = satisfied
        self._known = 0
        self._in_vain = 0

    def stop_reason(self) -> str | None:
        """Why another trial is not worth it; ``None`` while it is.

        Asked for before each suggestion that is the sampler's.
        """
        trials = len(self._history.records)
        if not self._patience or trials == self._known:
            return None
        self._known = trials
        if self._expects:
            gain = self._expectation.gain()
            hopeless = gain is not None and gain < WORTH_A_TRIAL
            self._in_vain = self._in_vain + 1 if hopeless else 0
        else:
            self._in_vain = trials_in_vain(self._history.records)
        if self._in_vain < self._patience or not self._satisfied():
            return None
        return self._in_words()

    def _in_words(self) -> str:
        default, best = self._history.default, self._history.best
        found = "The best model stands"
        if default is not None and default.meets_bound and best is not None:
            found = "Default int8 meets the bound"
            if not _beats(best, default):
                found += ", and nothing tried is faster beyond the noise"
        why = (
            f"for {self._patience} suggestions no more than {100 * WORTH_A_TRIAL:g} % of latency "
            "was to be expected of another trial"
            if self._expects
            else f"{self._in_vain} trials brought nothing faster beyond the noise"
        )
        return f"{found}: {why} (patience={self._patience})."


def trials_in_vain(records: Sequence[TrialRecord]) -> int:
    """Trials since the last that met the bound and was faster than those before it."""
    best: TrialRecord | None = None
    in_vain = 0
    for record in records:
        in_vain += 1
        if record.meets_bound and (best is None or _beats(record, best)):
            best, in_vain = record, 0
    return in_vain


def _beats(one: TrialRecord, other: TrialRecord) -> bool:
    return is_faster(one, measured_latency(other), other.latency_stddev)
