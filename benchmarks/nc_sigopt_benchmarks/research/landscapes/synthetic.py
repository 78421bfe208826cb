"""Synthetic families of landscapes whose optimum is known.

Six families keep what the quantization sampler assumes, four break it on purpose. An instance is
drawn by its seed: sizes come from a real network's shape, speeds, sensitivities and the curve of
accuracy are random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import (
    Choices,
    Landscape,
    MeasurementError,
    Values,
)
from nc_sigopt_benchmarks.research.landscapes.networks import (
    Network,
    branched,
    depthwise_chain,
    residual,
)
from nc_sigopt_benchmarks.research.landscapes.optimum import (
    AdditiveProgram,
    PairTerm,
    solve_optimum,
)

DTYPES = ("int8", "bf16", "fp32")
WITH_VARIANTS = ("int8", "int8-kl", "int8-per-tensor", "bf16", "fp32")
RELATIVE_BOUND = 0.01


@dataclass(frozen=True)
class Family:
    """How the instances of a family are drawn.

    Attributes:
        network: Builds the graph.
        values: Labels of each op.
        sensitivity_spread: Standard deviation of the log sensitivities.
        interactions: Strength of pairwise terms in latency and noise; 0 for none.
        accuracy_scatter: Share of the accuracy drop that has nothing to do with output noise.
        error: Measurement errors.
        probe_lies: Standard deviation of the logarithms of what the noise that probes find is
            off by, beyond the errors that they state.
    """

    network: Callable[[], Network]
    values: tuple[str, ...] = DTYPES
    sensitivity_spread: float = 1.6
    interactions: float = 0.0
    accuracy_scatter: float = 0.0
    error: MeasurementError = field(default_factory=lambda: MeasurementError(latency=0.03))
    probe_lies: float = 0.0

    @property
    def assumptions_hold(self) -> bool:
        """Whether the quantization sampler's model is right here."""
        return not (
            self.interactions
            or self.accuracy_scatter
            or self.error.outlier_share
            or self.probe_lies
        )


FAMILIES: dict[str, Family] = {
    "chain": Family(depthwise_chain),
    "residual": Family(residual),
    "branched": Family(branched),
    "variants": Family(depthwise_chain, WITH_VARIANTS),
    "few-sensitive": Family(residual, sensitivity_spread=3.0),
    "deep": Family(lambda: residual((3, 8, 18, 3))),
    "interactions": Family(residual, interactions=0.5),
    "accuracy-not-noise": Family(depthwise_chain, accuracy_scatter=0.5),
    "disturbed-latency": Family(
        depthwise_chain,
        error=MeasurementError(latency=0.03, outlier_share=0.15, outlier_scale=0.5),
    ),
    "lying-probes": Family(residual, probe_lies=1.2),
}


def synthetic_landscape(family: str, seed: int, images: int = 5000) -> Landscape:
    """One instance of a family.

    Args:
        family: A key of ``FAMILIES``.
        seed: Draws the instance.
        images: How many images an accuracy is measured on.
    """
    kind = FAMILIES[family]
    network = kind.network()
    rng = np.random.default_rng([seed, *family.encode()])
    draw = _Draw(kind, network, rng)
    sizes = tuple(len(kind.values) for _ in network.ops)
    rows = np.arange(len(sizes))

    def additive(tables: Values, pairs: list[PairTerm]) -> Callable[[Choices], Values]:
        def truth(choices: Choices) -> Values:
            result: Values = tables[rows, choices].sum(axis=1)
            for i, j, table in pairs:
                result = result + table[choices[:, i], choices[:, j]]
            return result

        return truth

    latency = additive(draw.latency, draw.latency_pairs)
    noise = additive(draw.noise, draw.noise_pairs)
    default = np.zeros(len(sizes), np.int64)
    curve = draw.curve(float(noise(default[None])[0]))
    scatter = additive(draw.scatter, [])

    def accuracy(choices: Choices) -> Values:
        damage = (np.maximum(noise(choices), 0.0) / curve.noise) ** curve.power
        share = kind.accuracy_scatter
        return curve.accuracy((1 - share) * damage + share * scatter(choices))

    # In units of the bound: a configuration is accepted up to a weight of one.
    share = kind.accuracy_scatter
    weight = (1 - share) * draw.noise / curve.noise + share * draw.scatter
    pairs = [(i, j, (1 - share) * table / curve.noise) for i, j, table in draw.noise_pairs]
    optimum = solve_optimum(
        AdditiveProgram(list(draw.latency), list(weight), 1.0, draw.latency_pairs, pairs)
    )
    return Landscape(
        name=f"{family}-{seed}",
        family=family,
        assumptions_hold=kind.assumptions_hold,
        parameters={op.name: kind.values for op in network.ops},
        op_graph=network.op_graph(),
        default=default,
        latency=latency,
        output_noise=lambda choices: np.maximum(noise(choices), 1e-12),
        accuracy=accuracy,
        baseline_accuracy=curve.baseline,
        bound=curve.baseline * (1 - RELATIVE_BOUND),
        images=images,
        error=kind.error,
        optimum=optimum,
        op_latency=tuple(draw.latency),
        noise_limit=curve.noise,
        probed_noise=None if not kind.probe_lies else additive(draw.probed_noise(seed), []),
    )


@dataclass(frozen=True)
class _Curve:
    """Accuracy against damage; damage 1 just meets the bound."""

    baseline: float
    noise: float
    power: float
    floor: float = 0.05

    def accuracy(self, damage: Values) -> Values:
        span = self.baseline - self.floor
        rate = -np.log1p(-RELATIVE_BOUND * self.baseline / span)
        result: Values = self.floor + span * np.exp(-rate * np.maximum(damage, 0.0))
        return result


class _Draw:
    """Random tables of one instance: rows are ops, columns values."""

    def __init__(self, kind: Family, network: Network, rng: np.random.Generator) -> None:
        self._kind, self._network, self._rng = kind, network, rng
        self.latency = self._latencies()
        self.noise = self._noises()
        self.latency_pairs = self._boundaries()
        self.noise_pairs: list[PairTerm] = []
        self.scatter = self._scatter()
        if kind.interactions:
            self._interact()

    def curve(self, default_noise: float) -> _Curve:
        rng = self._rng
        baseline = rng.uniform(0.68, 0.93)
        below_default = np.exp(rng.uniform(np.log(2.0), np.log(60.0)))
        power = 1.0 if self._kind.accuracy_scatter else rng.uniform(0.5, 1.0)
        return _Curve(baseline, default_noise / below_default, power)

    def probed_noise(self, seed: int) -> Values:
        """What probes find, of the shape of ``noise``; does not touch the other draws."""
        lies = np.random.default_rng([seed, 1]).normal(0.0, self._kind.probe_lies, len(self.noise))
        found: Values = self.noise * np.exp(lies)[:, None]
        return found

    def _latencies(self) -> Values:
        rng, ops = self._rng, self._network.ops
        fast_bf16 = rng.random() < 0.6
        rate = {"int8": 1.0, "fp32": rng.uniform(3.0, 6.0)}
        rate["bf16"] = rng.uniform(1.3, 2.2) if fast_bf16 else rate["fp32"] * rng.uniform(0.9, 1.2)
        traffic = {"int8": 1.0, "bf16": 2.0, "fp32": 4.0}
        slow_depthwise = rng.uniform(1.0, 2.5)
        table = np.empty((len(ops), len(self._kind.values)))
        for row, op in enumerate(ops):
            own = {dtype: np.exp(rng.normal(0.0, 0.25)) for dtype in DTYPES}
            for column, label in enumerate(self._kind.values):
                dtype = label.split("-")[0]
                compute = rate[dtype] * op.multiply_adds
                if op.op_type == "depthwise_conv2d":
                    compute *= 8 * (slow_depthwise if dtype == "bf16" else 1.0)
                moved = traffic[dtype] * (2 * op.output_elements + op.weight_elements)
                table[row, column] = own[dtype] * (compute + 20 * moved)
        total: Values = table / table[:, 0].sum()
        return total

    def _noises(self) -> Values:
        rng, kind, ops = self._rng, self._kind, self._network.ops
        table = np.zeros((len(ops), len(kind.values)))
        int8 = np.exp(rng.normal(0.0, kind.sensitivity_spread, len(ops)))
        for column, label in enumerate(kind.values):
            dtype = label.split("-")[0]
            if dtype == "bf16":
                table[:, column] = int8 * 1e-3 * np.exp(rng.normal(0.0, 1.0, len(ops)))
            elif dtype == "int8":
                table[:, column] = (
                    int8 if column == 0 else int8 * np.exp(rng.normal(0, 0.7, len(ops)))
                )
        total: Values = table * rng.uniform(0.1, 0.5) / table[:, 0].sum()
        return total

    def _boundaries(self) -> list[PairTerm]:
        rng, values = self._rng, self._kind.values
        dtypes = np.array([label.split("-")[0] for label in values])
        moved = sum(op.output_elements for op in self._network.ops)
        strength = rng.uniform(0.2, 1.2)
        between = {"bf16": rng.uniform(0.7, 1.3), "fp32": 1.0}
        pairs: list[PairTerm] = []
        for i, j in self._network.edges:
            base = strength * self._network.ops[i].output_elements / moved
            base *= np.exp(rng.normal(0.0, 0.3))
            table = np.zeros((len(values), len(values)))
            for a, first in enumerate(dtypes):
                for b, second in enumerate(dtypes):
                    if first == second:
                        continue
                    floating = {first, second} - {"int8"}
                    table[a, b] = base * (0.5 if len(floating) == 2 else between[floating.pop()])
            pairs.append((i, j, table))
        return pairs

    def _scatter(self) -> Values:
        """Accuracy's own additive damage, unrelated to noise; fp32 has none."""
        rng, ops = self._rng, self._network.ops
        int8 = np.exp(rng.normal(0.0, 1.2, len(ops)))
        # Some ops help: a few images turn right by luck.
        int8 *= np.where(rng.random(len(ops)) < 0.15, -0.3, 1.0)
        scale = np.exp(rng.uniform(np.log(2.0), np.log(60.0))) / int8.sum()
        table = np.zeros((len(ops), len(self._kind.values)))
        for column, label in enumerate(self._kind.values):
            if label.startswith("int8"):
                table[:, column] = scale * int8
        return table

    def _interact(self) -> None:
        rng, strength = self._rng, self._kind.interactions
        count, values = len(self._network.ops), self._kind.values
        int8 = np.array([label.startswith("int8") for label in values])
        both = np.outer(int8, int8).astype(float)
        for _ in range(count):
            i, j = sorted(int(p) for p in rng.choice(count, 2, replace=False))
            scale = strength * min(self.latency[i, 0], self.latency[j, 0])
            self.latency_pairs.append((i, j, scale * rng.uniform(-1, 1) * both))
            # Errors of two ops that partly cancel or add up, within what keeps noise positive.
            shared = np.sqrt(self.noise[i, 0] * self.noise[j, 0])
            self.noise_pairs.append((i, j, strength * rng.uniform(-0.5, 1.0) * shared * both))
