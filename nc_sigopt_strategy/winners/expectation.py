"""What the trials of a run lead to expect, by the models of the "quantization" sampler."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.results.trial_history import TrialHistory, measured_latency
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.sampling.conventions import Reading
from nc_sigopt_strategy.sampling.probes import Probe
from nc_sigopt_strategy.sampling.quantization.outlook import Bounded, Outlook
from nc_sigopt_strategy.space.search_space import Parameter
from nc_sigopt_strategy.winners.bound_odds import BoundOdds, Odds

logger = logging.getLogger("nc_sigopt_strategy")

# With fewer trials the expectation would be the priors'.
MINIMUM_TRIALS = 8


class Expectation:
    """Latencies and gains that the trials so far lead to expect.

    Args:
        history: All trials; it may grow.
        parameters: Of the search space.
        op_graph: See ``parameter_graph``; asked for once, when it is needed first.
        bound: The accuracy bound.
        probes: What probes have found so far.
    """

    def __init__(
        self,
        history: TrialHistory,
        parameters: Sequence[Parameter],
        op_graph: Callable[[], Mapping[str, Any] | None],
        bound: AccuracyBound,
        probes: Callable[[], Sequence[Probe]] = tuple,
    ) -> None:
        self._history = history
        self._values = {p.name: p.values for p in parameters}
        self._probes = probes
        self._op_graph = functools.lru_cache(maxsize=1)(op_graph)
        self._bounded = Bounded(bound.target, bound.maximize, bound.baseline_scalar)
        self._known = -1
        self._latencies: dict[int, float] = {}
        self._odds_known = -1
        self._odds: Odds = {}

    def latency(self, trial: TrialRecord) -> float:
        """What a trial's latency is expected to be; as measured while there is little to go by."""
        if self._known != len(self._history.records):
            self._known = len(self._history.records)
            self._latencies = self._expected()
        return self._latencies.get(trial.number, measured_latency(trial))

    def odds(self) -> Odds:
        """How probable it is that trials' models keep the bound; empty where nobody can say.

        That is so without output noise, and where the bound allows no loss.
        """
        if self._odds_known != len(self._history.records):
            self._odds_known = len(self._history.records)
            self._odds = self._judged()
        return self._odds

    def gain(self) -> float | None:
        """What the next trial is expected to save at best, as a share of the best latency.

        ``None`` where the trials do not tell.
        """
        measured = self._measured()
        if len(measured) < MINIMUM_TRIALS or not any(r.meets_bound for r in measured):
            return None
        try:
            return self._outlook(measured).gain(seed=len(self._history.records))
        except Exception as error:
            logger.debug("The expected gain could not be computed: %r", error)
            return None

    def _expected(self) -> dict[int, float]:
        measured = self._measured()
        if len(measured) < MINIMUM_TRIALS:
            return {}
        try:
            latencies = self._outlook(measured).latencies()
        except Exception as error:
            # The measured ones will do.
            logger.debug("The expected latencies could not be computed: %r", error)
            return {}
        pairs = zip(measured, latencies, strict=True)
        return {record.number: float(seconds) for record, seconds in pairs if seconds > 0}

    def _judged(self) -> dict[int, BoundOdds]:
        measured = self._measured()
        if not measured:
            return {}
        try:
            judged = self._outlook(measured).judged()
        except Exception as error:
            logger.warning("Nobody knows how probable it is that the bound holds: %r", error)
            return {}
        if judged is None:
            return {}
        found = zip(measured, judged.probability, judged.spare, judged.luck, strict=True)
        return {
            record.number: BoundOdds(float(probability), float(spare), float(luck))
            for record, probability, spare, luck in found
        }

    def _measured(self) -> list[TrialRecord]:
        return [
            record
            for record in self._history.records
            if record.latency_seconds and record.accuracy is not None and not record.duplicate_of
        ]

    def _outlook(self, measured: Sequence[TrialRecord]) -> Outlook:
        failed = [
            record.assignments
            for record in self._history.records
            if record.state is TrialState.FAILED and not record.interrupted
        ]
        readings = [(record.assignments, _reading(record)) for record in measured]
        return Outlook(
            self._values, self._op_graph(), readings, failed, self._bounded, self._probes()
        )


def _reading(record: TrialRecord) -> Reading:
    return Reading(
        latency=measured_latency(record),
        latency_stderr=record.latency_stddev,
        accuracy=record.accuracy,
        accuracy_stderr=record.accuracy_stddev,
        output_noise=record.output_noise,
        turned=None if record.paired is None else record.paired.turned,
    )
