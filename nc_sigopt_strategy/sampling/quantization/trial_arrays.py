"""The trials of an experiment as arrays."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import getitem

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

from nc_sigopt_strategy.sampling.conventions import WITHDRAWN_ATTR, Reading, TuningExperiment
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.probe_arrays import ProbeArrays

# Relative standard error of a latency that comes without one.
USUAL_ERROR = 0.03
# Measured trials that a suggestion learns from at most, and how many of them are the first ones.
LEARNED_FROM, FIRST = 100, 20
# Trials of one space that are remembered at most.
REMEMBERED = 20_000
_KEY_TYPE = np.int16


@dataclass(frozen=True)
class TrialArrays:
    """What was tried and what was found; N measured trials are learned from.

    Attributes:
        choices: Value positions, shape (N, P).
        latency: Shape (N,), above 0.
        latency_stderr: Shape (N,).
        accuracy: Shape (N,), sign turned where accuracy is minimized; ``None`` without a bound.
        accuracy_stderr: Of accuracies' differences from FP32's, NaN where unknown, shape (N,);
            ``None`` if nowhere known.
        noise: Output noise, shape (N,); ``None`` if any trial lacks it.
        pending: Open trials, shape (M, P).
        failed: Trials without a result, shape (K, P).
        bound: Least accuracy that is accepted, sign as ``accuracy``; ``None`` without one.
        probes: What was measured outside of trials; ``None`` where nothing was.
        passed: Further measured trials, which nothing is learned from, shape (L, P); ``None``
            where there are none.
    """

    choices: Integers
    latency: Floats
    latency_stderr: Floats
    accuracy: Floats | None
    noise: Floats | None
    pending: Integers
    failed: Integers
    bound: float | None
    probes: ProbeArrays | None = None
    accuracy_stderr: Floats | None = None
    passed: Integers | None = None

    @classmethod
    def of(
        cls, trials: Iterable[FrozenTrial], space: OpSpace, experiment: TuningExperiment
    ) -> TrialArrays:
        """Sort trials by state; those taken back, or of other parameters, do not count.

        What was found is read of those trials only that are learned from: see ``recent``.
        """
        choice_of = _choices(tuple(space.names), tuple(map(tuple, space.labels)))
        complete, measured, pending, failed = [], [], [], []
        for trial in trials:
            choice = choice_of(trial)
            if choice is None:
                continue
            if trial.state is TrialState.COMPLETE:
                complete.append(trial)
                measured.append(choice)
            elif trial.state in (TrialState.RUNNING, TrialState.WAITING):
                pending.append(choice)
            elif WITHDRAWN_ATTR not in trial.user_attrs:
                failed.append(choice)
        learned = _learned(len(complete))
        readings = [experiment.read(complete[n]) for n in learned]
        latency = np.array([reading.latency for reading in readings], float)
        stderr = np.array(
            [
                USUAL_ERROR * reading.latency
                if reading.latency_stderr is None
                else reading.latency_stderr
                for reading in readings
            ],
            float,
        )
        accuracy, bound = None, None
        if experiment.accuracy_threshold is not None:
            sign = 1.0 if experiment.maximize_accuracy else -1.0
            bound = sign * experiment.accuracy_threshold
            accuracy = sign * _column([reading.accuracy for reading in readings])
        noise = _column([reading.output_noise for reading in readings])
        width = len(space.names)
        return cls(
            choices=_rows([measured[n] for n in learned], width),
            latency=latency,
            latency_stderr=np.maximum(stderr, 1e-4 * np.abs(latency)),
            accuracy=accuracy,
            noise=None if np.isnan(noise).any() else noise,
            pending=_rows(pending, width),
            failed=_rows(failed, width),
            bound=bound,
            probes=ProbeArrays.of(experiment.probes, space) if experiment.probes else None,
            accuracy_stderr=known_errors(readings),
            passed=_rows(measured[FIRST : FIRST + len(measured) - len(learned)], width),
        )

    @property
    def feasible(self) -> npt.NDArray[np.bool_]:
        """Which measured trials met the bound, shape (N,)."""
        if self.accuracy is None or self.bound is None:
            return np.ones(len(self.latency), bool)
        result: npt.NDArray[np.bool_] = self.accuracy >= self.bound
        return result

    def recent(self) -> TrialArrays:
        """At most ``LEARNED_FROM`` measured trials: the first few, which span all, and the latest.

        The latest are the nearest to the optimum; more would cost time and add little.
        """
        kept = _learned(len(self.latency))
        return self if len(kept) == len(self.latency) else self._of_rows(kept)

    def with_pending(self, latency: Floats, damage: Floats) -> TrialArrays:
        """Open trials as if measured, with these latencies and damages, each of shape (M,)."""
        stderr = np.full(len(latency), USUAL_ERROR) * latency
        believed = replace(
            self,
            choices=np.concatenate([self.choices, self.pending]),
            latency=np.concatenate([self.latency, latency]),
            latency_stderr=np.concatenate([self.latency_stderr, stderr]),
        )
        if self.noise is not None:
            believed = replace(believed, noise=np.concatenate([self.noise, damage]))
        return believed

    def _of_rows(self, rows: Integers) -> TrialArrays:
        return replace(
            self,
            choices=self.choices[rows],
            latency=self.latency[rows],
            latency_stderr=self.latency_stderr[rows],
            accuracy=None if self.accuracy is None else self.accuracy[rows],
            accuracy_stderr=None if self.accuracy_stderr is None else self.accuracy_stderr[rows],
            noise=None if self.noise is None else self.noise[rows],
        )

    @property
    def tried(self) -> set[bytes]:
        """Keys of all configurations that must not be suggested again; see ``key``."""
        passed = self.choices[:0] if self.passed is None else self.passed
        rows = np.concatenate([self.choices, self.pending, self.failed, passed])
        return {row.tobytes() for row in rows.astype(_KEY_TYPE)}


def known_errors(readings: Sequence[Reading]) -> Floats | None:
    """Standard errors of accuracies, NaN where unknown, shape (N,); ``None`` if nowhere known."""
    errors = _column([reading.accuracy_stderr for reading in readings])
    return None if np.isnan(errors).all() else errors


def key(choice: Integers) -> bytes:
    """A hashable form of value positions."""
    return choice.astype(_KEY_TYPE).tobytes()


class _Choices:
    """Value positions of trials, remembered: a finished trial's never change.

    Working them out anew would take most of the time of a suggestion after thousands of trials.

    Args:
        names: The parameters.
        labels: The values of each.
    """

    def __init__(self, names: tuple[str, ...], labels: tuple[tuple[str, ...], ...]) -> None:
        self._names = names
        self._positions = [{label: v for v, label in enumerate(row)} for row in labels]
        # By identity, with the trial itself, so that its id is not given to another one.
        self._known: dict[int, tuple[FrozenTrial, Integers]] = {}

    def __call__(self, trial: FrozenTrial) -> Integers | None:
        """Shape (P,); ``None`` for a trial of other parameters or values."""
        known = self._known.get(id(trial))
        if known is not None and known[0] is trial:
            return known[1]
        params = trial.params
        try:
            labels = map(params.__getitem__, self._names)
            choice = np.fromiter(map(getitem, self._positions, labels), np.int64, len(self._names))
        except KeyError:
            return None
        if trial.state.is_finished():
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[id(trial)] = trial, choice
        return choice


@functools.lru_cache(maxsize=8)
def _choices(names: tuple[str, ...], labels: tuple[tuple[str, ...], ...]) -> _Choices:
    """One for all samplers of a space: each suggestion has a sampler of its own."""
    return _Choices(names, labels)


def _learned(count: int) -> Integers:
    """Which of so many measured trials are learned from: the first few and the latest."""
    if count <= LEARNED_FROM:
        return np.arange(count)
    return np.concatenate([np.arange(FIRST), np.arange(count - LEARNED_FROM + FIRST, count)])


def _rows(choices: list[Integers], width: int) -> Integers:
    return np.stack(choices) if choices else np.empty((0, width), np.int64)


def _column(values: list[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], float)
