"""What the sampler's models say of trials that were measured, and of those that were not yet.

For whoever has to decide which models to time again and whether going on is worth it, whatever
sampler made the suggestions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.sampling.conventions import Reading, TuningExperiment
from nc_sigopt_strategy.sampling.probes import Probe
from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel, Judged
from nc_sigopt_strategy.sampling.quantization.latency_model import LatencyModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays
from nc_sigopt_strategy.sampling.quantization.sampler import one_blas_thread
from nc_sigopt_strategy.sampling.quantization.suggestion import expected_gain
from nc_sigopt_strategy.sampling.quantization.trial_arrays import (
    USUAL_ERROR,
    TrialArrays,
    known_errors,
)

_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Bounded:
    """The accuracy that is asked for.

    Attributes:
        threshold: Bound on the accuracy, equality included.
        maximize: Whether accuracy must reach it from below.
        baseline: Accuracy of the FP32 model.
    """

    threshold: float
    maximize: bool
    baseline: float


class Outlook:
    """The models of latency, noise and accuracy, fitted to trials.

    Args:
        values: Parameter name to its values, least precise first.
        op_graph: See ``OpSpace.of``.
        measured: Assignments and what was found, one of each graph; at least one.
        failed: Assignments that gave no model.
        bounded: What accuracy is asked for.
        probes: What was measured outside of trials.
    """

    def __init__(
        self,
        values: Mapping[str, Sequence[str]],
        op_graph: Mapping[str, Any] | None,
        measured: Sequence[tuple[Mapping[str, str], Reading]],
        failed: Sequence[Mapping[str, str]],
        bounded: Bounded,
        probes: Sequence[Probe] = (),
    ) -> None:
        self._space = OpSpace.of_values(values, op_graph)
        readings = [reading for _, reading in measured]
        sign = 1.0 if bounded.maximize else -1.0
        latency = np.array([reading.latency for reading in readings], float)
        stderr = np.array([_stderr(reading) for reading in readings], float)
        noise = np.array(
            [np.nan if r.output_noise is None else r.output_noise for r in readings], float
        )
        self._history = TrialArrays(
            choices=self._positions([assignments for assignments, _ in measured]),
            latency=latency,
            latency_stderr=np.maximum(stderr, 1e-4 * latency),
            accuracy=sign * np.array([reading.accuracy for reading in readings], float),
            noise=None if np.isnan(noise).any() else noise,
            pending=self._positions([]),
            failed=self._positions(failed),
            bound=sign * bounded.threshold,
            probes=ProbeArrays.of(probes, self._space) if probes else None,
            paired=known_errors(readings),
        )
        self._experiment = TuningExperiment(
            read=_not_read,
            accuracy_threshold=bounded.threshold,
            maximize_accuracy=bounded.maximize,
            baseline_accuracy=bounded.baseline,
            op_graph=op_graph,
        )

    def latencies(self) -> Floats:
        """What the latency of each measured trial is expected to be, in their order.

        What the ops explain, and of the rest as much as the timings' own errors do not: a lucky
        timing goes back to what its ops take, a model that is faster for reasons of its own stays.
        """
        known = self._history.recent()
        with one_blas_thread():
            model = LatencyModel.of(self._space, known)
            explained = model.expected(self._space.types_of(self._history.choices))
        rest = self._history.latency / explained - 1.0
        errors = self._history.latency_stderr / self._history.latency
        spread = _MAD_TO_SD * float(np.median(np.abs(rest)))
        claimed = float(np.median(errors))
        own = max(0.0, 1.0 - (claimed / spread) ** 2) if spread > 0 else 0.0
        result: Floats = explained * (1.0 + own * rest)
        return result

    def judged(self) -> Judged | None:
        """What the accuracy of each measured trial is expected to be on other data, in order.

        ``None`` without output noise, which tells bad luck from a bad model, and where the bound
        allows no loss.
        """
        known, baseline = self._history, self._experiment.baseline_accuracy
        if known.noise is None or known.accuracy is None or known.bound is None:
            return None
        if baseline is None:
            return None
        if not self._experiment.maximize_accuracy:
            baseline = -baseline
        if baseline <= known.bound:
            return None
        with one_blas_thread():
            model = AccuracyModel(known.noise, known.accuracy, known.bound, baseline, known.paired)
            return model.judged(known.noise, known.accuracy, known.paired)

    def gain(self, seed: int) -> float:
        """What the next trial is expected to save at best, as a share; see ``expected_gain``.

        Args:
            seed: Of the draws.
        """
        rng = np.random.default_rng(seed)
        with one_blas_thread():
            return expected_gain(self._space, self._history, self._experiment, rng)

    def _positions(self, several: Sequence[Mapping[str, str]]) -> Integers:
        rows = list(zip(self._space.names, self._space.labels, strict=True))
        found = [[labels.index(one[name]) for name, labels in rows] for one in several]
        return np.array(found, np.int64).reshape(len(several), len(rows))


def _stderr(reading: Reading) -> float:
    known = reading.latency_stderr
    return USUAL_ERROR * reading.latency if known is None else known


def _not_read(trial: FrozenTrial) -> Reading:
    raise NotImplementedError("The readings are given, so there are no trials to read.")
