"""Configurations near the accuracy bound, from what single ops were measured to do.

There a sampler has to be right: it is where the fastest accepted model lies. Their output noise is
predicted as the sum of the single ops', their latency likewise; candidates fill a budget of noise
with int8 ops, cheapest noise per saved time first, in an order that is disturbed more or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nc_sigopt_benchmarks.research.landscapes.accuracy_fit import fit_accuracy
from nc_sigopt_benchmarks.research.landscapes.design import (
    BF16,
    CLOUD,
    FALLBACK,
    FP32,
    ONLY_INT8,
    Design,
)
from nc_sigopt_benchmarks.research.landscapes.landscape_file import LandscapeRow
from nc_sigopt_benchmarks.research.landscapes.profiles import Labels
from nc_sigopt_strategy.errors import DataError

# How far from the target the predicted noise may be, as a factor both ways.
NOISE_FACTOR = 3.0
# Standard deviations of the disturbance of the greedy order's logarithms.
_DISTURBANCES = (0.3, 1.0, 3.0)
_CANDIDATES_PER_ROW = 40
_LEAST = 1e-12

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SingleOps:
    """What single ops do, each array of shape (parameters,).

    Attributes:
        noise: Output noise of the op alone in int8, at least a tiny number.
        bf16_noise: Likewise in bf16: an equal share of all-bf16's.
        gain: How much its fallback to fp32 adds to the latency ratio.
    """

    noise: Floats
    bf16_noise: Floats
    gain: Floats

    @classmethod
    def of(cls, rows: Sequence[LandscapeRow], design: Design, batch_size: int) -> SingleOps:
        """From the rows of single ops; where there is none, a share of the whole."""
        measured = [row for row in rows if row.failure is None and row.output_noise is not None]
        by_origin = {row.origin: row for row in measured}
        timed = [row for row in measured if batch_size in row.latency]
        whole = next((row for row in timed if row.labels == design.default), None)
        if whole is None:
            raise DataError(
                f"The landscape has no latency of the default int8 model at batch {batch_size}.",
                "Record it anew, with --latency.",
            )
        in_bf16 = next((r for r in measured if r.labels == design.uniform(BF16)), whole)
        slowest = next((r for r in timed if r.labels == design.uniform(FP32)), whole)
        count = len(design.names)
        total = max(whole.output_noise or 0.0, _LEAST)
        gain_of_all = slowest.latency[batch_size].ratio - whole.latency[batch_size].ratio
        noise, gain = np.full(count, total / count), np.full(count, gain_of_all / count)
        for p, name in enumerate(design.names):
            alone = by_origin.get(f"{ONLY_INT8}: {name}")
            without = by_origin.get(f"{FALLBACK} {FP32}: {name}")
            if alone is not None and alone.output_noise is not None:
                noise[p] = alone.output_noise
            elif without is not None and without.output_noise is not None:
                noise[p] = total - without.output_noise
            if without is not None and batch_size in without.latency:
                gain[p] = without.latency[batch_size].ratio - whole.latency[batch_size].ratio
        # Ops without bf16 are in int8 there.
        has_bf16 = np.array([label == BF16 for label in design.uniform(BF16)])
        of_bf16 = (in_bf16.output_noise or 0.0) - float(noise[~has_bf16].sum())
        # Differences of two measurements may be negative; nothing is entirely without an effect.
        floor = 1e-3 * total / count
        return cls(
            np.maximum(noise, floor),
            np.where(has_bf16, max(of_bf16, 0.0) / max(int(has_bf16.sum()), 1), 0.0),
            np.maximum(gain, 1e-3 * abs(gain_of_all) / count),
        )


def noise_targets(
    rows: Sequence[LandscapeRow], baseline: float | None, bound: float
) -> list[float]:
    """Levels of output noise around which configurations are wanted.

    Args:
        rows: Measured so far.
        baseline: Accuracy of the FP32 model; ``None`` without accuracies.
        bound: Least accepted accuracy.

    Returns:
        The one level at which a smooth curve through the accuracies crosses the bound; without
        accuracies, or where that is not among the noises measured, half-decades downwards from
        the noisiest row.
    """
    noisy = [row for row in rows if row.failure is None and row.output_noise]
    if not noisy:
        return []
    noise = np.array([row.output_noise for row in noisy], float)
    if baseline is not None:
        accuracy = np.array([row.accuracy for row in noisy], float)
        crossing = fit_accuracy(noise, accuracy, baseline).noise_at(bound)
        if noise.min() < crossing < noise.max():
            return [crossing]
    top = float(np.log10(noise.max()))
    return [10.0 ** (top - step / 2) for step in range(1, 6)]


def cloud_rows(
    design: Design, single: SingleOps, targets: Sequence[float], count: int
) -> list[tuple[str, Labels]]:
    """Configurations whose predicted noise is near a target, spread over predicted latency."""
    if not targets or count < 1:
        return []
    rng = np.random.default_rng([design.options.seed, 2])
    parts = [len(part) for part in np.array_split(np.arange(count), len(targets))]
    return [
        (f"{CLOUD} at noise {target:.3g}", labels)
        for target, wanted in zip(targets, parts, strict=True)
        for labels in _near(design, single, target, wanted, rng)
    ]


def _near(
    design: Design, single: SingleOps, target: float, count: int, rng: np.random.Generator
) -> list[Labels]:
    found: dict[Labels, float] = {}
    for _ in range(count * _CANDIDATES_PER_ROW):
        budget = target * float(np.exp(rng.uniform(-1, 1) * np.log(NOISE_FACTOR)))
        disturbance = rng.normal(0, rng.choice(_DISTURBANCES), len(design.names))
        order = np.argsort(np.log(single.noise / single.gain) + disturbance)
        in_bf16 = rng.random(len(design.names)) < rng.random()
        floating = np.where(in_bf16, single.bf16_noise, 0.0)
        in_int8 = _fill(single.noise - floating, order, budget - float(floating.sum()))
        noise = float(np.where(in_int8, single.noise, floating).sum())
        if not target / NOISE_FACTOR <= noise <= target * NOISE_FACTOR:
            continue
        labels = design.take(in_int8.tolist(), np.where(in_bf16, BF16, FP32).tolist())
        found.setdefault(labels, float(single.gain[~in_int8].sum()))
    ranked = sorted(found, key=found.__getitem__)
    chosen = np.unique(np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round())
    return [ranked[int(position)] for position in chosen] if ranked else []


def _fill(noise: Floats, order: npt.NDArray[np.int64], budget: float) -> npt.NDArray[np.bool_]:
    """Which ops are in int8 when they are taken in this order as long as they fit the budget."""
    chosen, used = np.zeros(len(noise), bool), 0.0
    for op in order:
        if used + noise[op] <= budget:
            chosen[op] = True
            used += float(noise[op])
    return chosen
