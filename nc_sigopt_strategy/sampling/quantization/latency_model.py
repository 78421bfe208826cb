"""Latency as a Bayesian linear model over ops and type changes.

An op's cost in a type, relative to its first type, is what its size explains plus a deviation of
its own. A change of type on an edge costs what the tensor's size explains, one way more than the
other (quantizing is not what dequantizing is), plus a deviation of the edge's own. The scales of
the deviations and of the errors are estimated by expectation maximization (Bishop, "Pattern
Recognition and Machine Learning", 2006, section 9.3.4); errors are Student's t, so that a
disturbed timing counts little (Lange et al., "Robust Statistical Modeling Using the t
Distribution", 1989).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.sampling.quantization.conditioning import Conditioned, Rows
from nc_sigopt_strategy.sampling.quantization.op_contrasts import OpContrasts
from nc_sigopt_strategy.sampling.quantization.op_space import Floats, Integers, OpSpace
from nc_sigopt_strategy.sampling.quantization.stated_errors import error_scale
from nc_sigopt_strategy.sampling.quantization.trial_arrays import TrialArrays

DEGREES_OF_FREEDOM = 4.0
ROUNDS = 3
# How much of a scale's estimate is its starting value, in observations.
_INERTIA = 4.0
# Prior standard deviations in units of the median latency: of what all ops of a type cost more in
# all, of how much one op type or one kind of size stands out, of a single op's own deviation.
_ALL_OPS, _OP_TYPE, _KIND_OF_SIZE, _EVENLY = 3.0, 1.0, 1.0, 0.3
_DEVIATION = 0.5
_ALL_EDGES, _ONE_WAY, _EDGE_DEVIATION, _USUAL_EDGES = 0.5, 0.2, 0.4, 0.3
_INTERCEPT = 10.0
_MISFIT = 0.01


@dataclass(frozen=True)
class CostTables:
    """What each choice costs, in the unit of the latencies.

    Attributes:
        ops: Per parameter and type, relative to the parameter's first type; shape (P, T).
        edges: Per edge, type of its producer and type of its consumer; shape (E, T, T), zero
            diagonal.
        base: The latency where every parameter has its first type and no edge changes type.
    """

    ops: Floats
    edges: Floats
    base: float


class LatencyModel:
    """The posterior over cost tables.

    Args:
        space: The search space.
        choices: Value positions of measured trials, shape (N, P), N at least 1.
        latency: Their latencies, shape (N,), above 0.
        stderr: Their standard errors, shape (N,).
        contrasts: What single ops take more in other types; ``None`` where nothing was profiled.
    """

    def __init__(
        self,
        space: OpSpace,
        choices: Integers,
        latency: Floats,
        stderr: Floats,
        contrasts: OpContrasts | None = None,
    ) -> None:
        self._space = space
        self._columns = _Columns(space)
        self._unit = float(np.median(latency))
        contrasts = OpContrasts.none() if contrasts is None else contrasts
        self._rows = Rows(
            self._columns.rows(space.types_of(choices)), *self._columns.of_contrasts(contrasts)
        )
        self._fit(
            np.concatenate([latency, contrasts.difference]) / self._unit,
            np.concatenate([stderr, contrasts.stderr]) / self._unit,
            np.arange(len(latency) + len(contrasts.difference)) < len(latency),
        )

    @classmethod
    def of(cls, space: OpSpace, history: TrialArrays) -> LatencyModel:
        """The posterior after all that was timed, in trials and outside of them."""
        probes = history.probes
        if probes is None:
            return cls(space, history.choices, history.latency, history.latency_stderr)
        return cls(
            space,
            np.concatenate([history.choices, probes.choices[probes.timed]]),
            np.concatenate([history.latency, probes.latency[probes.timed]]),
            np.concatenate([history.latency_stderr, probes.latency_stderr[probes.timed]]),
            OpContrasts.of(probes, space),
        )

    def mean(self) -> CostTables:
        """The expected tables."""
        return self._columns.tables(self._mean * self._unit)

    def expected(self, types: Integers) -> Floats:
        """Expected latency of configurations given by type, shape (N, P) to (N,)."""
        result: Floats = self._columns.rows(types) @ self._mean * self._unit
        return result

    def draws(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the coefficients from the posterior, shape (count, columns).

        Draws from the prior are corrected by the data (Matheron's rule; Doucet, "A Note on
        Efficient Conditional Simulation of Gaussian Distributions", 2010).
        """
        prior = rng.standard_normal((count, len(self._mean))) * self._scale
        prior += self._columns.prior_mean
        error = rng.standard_normal((count, len(self._y))) * np.sqrt(self._variance)
        gap = self._y + error - self._rows.expected(prior)
        corrected: Floats = prior + self._conditioned.moved(gap)
        return corrected

    def latencies(self, draws: Floats, types: Integers) -> Floats:
        """Latency of configurations given by type (N, P) in each draw; shape (draws, N)."""
        result: Floats = draws @ self._columns.rows(types).T * self._unit
        return result

    def _fit(self, y: Floats, stderr: Floats, whole: npt.NDArray[np.bool_]) -> None:
        """Find the posterior; the errors of the sums and of the profiles are estimated on the way.

        Args:
            y: Of each row, in units of the median latency, shape (N,).
            stderr: Shape (N,), same unit.
            whole: Which rows are latencies of whole models, and not of single ops, shape (N,).
        """
        columns = self._columns
        scale = columns.start.copy()
        misfit, profile, weight = _MISFIT, 1.0, np.ones(len(y))
        for _ in range(ROUNDS):
            expected = np.where(whole, stderr**2 + (misfit * y) ** 2, (profile * stderr) ** 2)
            self._y, self._scale, self._variance = y, scale, expected / weight
            self._conditioned = Conditioned(self._rows, scale**2, self._variance)
            spread, reach = self._conditioned.spread, self._conditioned.reach
            gap = y - self._rows.expected(columns.prior_mean)
            mean = columns.prior_mean + self._conditioned.moved(gap[None])[0]
            residual2 = (y - self._rows.expected(mean)) ** 2 / expected
            weight = (DEGREES_OF_FREEDOM + 1) / (DEGREES_OF_FREEDOM + residual2)
            # The errors against what they claim to be, what the coefficients took up left out.
            free = float((1.0 - reach / self._variance)[whole].sum())
            excess = (float((weight * residual2)[whole].sum()) + _INERTIA) / (free + _INERTIA)
            claimed = float(np.mean((expected / y**2)[whole]))
            misfit2 = misfit**2 + claimed * (excess - 1.0)
            misfit = float(np.sqrt(np.clip(misfit2, 1e-6, 0.25)))
            of_ops = (weight * residual2 * expected + reach)[~whole] / stderr[~whole] ** 2
            profile = error_scale(of_ops) if len(of_ops) else profile
            scale = scale.copy()
            for group in columns.scaled_groups:
                moment = (mean[group] ** 2 + spread[group]) / columns.start[group] ** 2
                factor2 = (moment.sum() + _INERTIA) / (len(moment) + _INERTIA)
                scale[group] = columns.start[group] * np.sqrt(factor2)
        self._mean = mean


class _Columns:
    """The design: which coefficient applies to which configuration."""

    def __init__(self, space: OpSpace) -> None:
        self._space = space
        count, types = len(space.names), len(space.types)
        first = space.type_of[:, 0]
        present = np.zeros((count, types), bool)
        rows, values = np.nonzero(space.type_of >= 0)
        present[rows, space.type_of[rows, values]] = True
        present[np.arange(count), first] = False
        # Deviations: one per parameter and type other than its first.
        self._own = np.argwhere(present)
        own = len(self._own)
        p, t = self._own.T if own else (np.empty(0, int), np.empty(0, int))
        size = 0.5 * (space.compute[p] + space.traffic[p])
        contrast = space.compute[p] - space.traffic[p]
        even = space.is_op[p] / max(count, 1)
        start = [_DEVIATION * size + 0.02 * even + 1e-4]
        loads, spreads = [], []
        for kind in dict.fromkeys(t.tolist()):
            inside = t == kind
            loads += [inside * size, inside * contrast, inside * even]
            spreads += [_ALL_OPS, _KIND_OF_SIZE, _EVENLY]
            for group in range(len(space.group_names)):
                of_group = inside & (space.groups[p] == group)
                if of_group.any() and not of_group[inside].all():
                    loads.append(of_group * size)
                    spreads.append(_OP_TYPE)
        self._loads = np.array(loads, float).reshape(len(loads), own)
        start.append(np.array(spreads))
        # Type changes: per edge, and per pair of types what the tensor's size explains, both ways
        # and one way more than the other.
        self._crosses = np.array(
            [[a != b and _is_conversion(a, b) for b in space.types] for a in space.types], bool
        ).reshape(types, types)
        self._pairs = (
            [
                (a, b)
                for a in range(types)
                for b in range(a + 1, types)
                if present[:, [a, b]].any() and _is_conversion(space.types[a], space.types[b])
            ]
            if len(space.edges)
            else []
        )
        # A conversion of a small tensor takes more than its share.
        usual = np.sqrt(space.edge_sizes / max(len(space.edges), 1))
        start.append(_EDGE_DEVIATION * usual + 1e-4)
        start.append(np.full(len(self._pairs), _ALL_EDGES))
        start.append(np.full(len(self._pairs), _ONE_WAY))
        start.append(np.array([_INTERCEPT]))
        self.start = np.concatenate(start)
        bounds = np.cumsum([0, *map(len, start)])
        self._parts = [slice(int(a), int(b)) for a, b in itertools.pairwise(bounds)]
        self.scaled_groups = [np.flatnonzero(t == kind) for kind in dict.fromkeys(t.tolist())]
        if len(space.edges):
            self.scaled_groups.append(np.arange(self._parts[2].start, self._parts[2].stop))
        self.prior_mean = np.zeros(len(self.start))
        self.prior_mean[self._parts[3]] = _USUAL_EDGES

    def rows(self, types: Integers) -> Floats:
        """The design matrix of configurations given by type, shape (N, columns)."""
        space = self._space
        own = (types[:, self._own[:, 0]] == self._own[:, 1]).astype(float)
        first, second = types[:, space.edges[:, 0]], types[:, space.edges[:, 1]]
        crossing = self._crosses[first, second].astype(float)
        there = [((first == a) & (second == b)) @ space.edge_sizes for a, b in self._pairs]
        back = [((first == b) & (second == a)) @ space.edge_sizes for a, b in self._pairs]
        shared = [a + b for a, b in zip(there, back, strict=True)]
        one_way = [a - b for a, b in zip(there, back, strict=True)]
        return np.column_stack(
            [own, own @ self._loads.T, crossing, *shared, *one_way, np.ones(len(types))]
        )

    def of_contrasts(self, contrasts: OpContrasts) -> tuple[Integers, slice, Floats]:
        """The rest of ``Rows``: what differences between types of one op are made of."""
        number = {(int(p), int(t)): n for n, (p, t) in enumerate(self._own)}
        pairs = zip(contrasts.ops.tolist(), contrasts.types.tolist(), strict=True)
        own = np.array([number[pair] for pair in pairs], np.int64)
        return own, self._parts[1], self._loads[:, own].T

    def tables(self, coefficients: Floats) -> CostTables:
        """Coefficients as tables of costs."""
        space = self._space
        own, loads, edges, pairs, ways, base = (coefficients[part] for part in self._parts)
        types = len(space.types)
        ops = np.zeros((len(space.names), types))
        ops[self._own[:, 0], self._own[:, 1]] = own + loads @ self._loads
        table = edges[:, None, None] * self._crosses
        for (a, b), shared, one_way in zip(self._pairs, pairs, ways, strict=True):
            table[:, a, b] += (shared + one_way) * space.edge_sizes
            table[:, b, a] += (shared - one_way) * space.edge_sizes
        return CostTables(ops, table, float(base[0]))


def _is_conversion(a: str, b: str) -> bool:
    """Whether a change between the two types converts a tensor: those of ops do."""
    return "=" not in a and "=" not in b
