"""Which configurations a recording measures, in order; the same for the same seed.

First what tells the ops apart (all at one type, one op at another), then mixtures, then a cloud
near the accuracy bound, which needs to know what the first ones were like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.profiles import Labels
from nc_sigopt_strategy.errors import SettingsError

INT8, BF16, FP32 = "int8", "bf16", "fp32"
DENSITIES = (0.2, 0.4, 0.6, 0.8)
# Mean length of a run of ops of one type, in ops, in the mixtures of segments.
SEGMENT_OPS = 5
FALLBACK, ONLY_INT8, CLOUD = "single fallback", "single int8", "cloud"


@dataclass(frozen=True)
class DesignOptions:
    """How much of each part.

    Attributes:
        fallbacks: Types to which single ops fall back from all-int8.
        only_int8: Whether single ops are tried in int8 with the rest in fp32.
        mixes: Random mixtures, each op on its own.
        segment_mixes: Random mixtures of contiguous segments.
        cloud: Configurations near the bound, or near half-decades of output noise where there is
            no accuracy.
        seed: Of all random choices.

    Raises:
        SettingsError: A fallback is to a type that there is not.
    """

    fallbacks: tuple[str, ...] = (FP32, BF16)
    only_int8: bool = True
    mixes: int = 32
    segment_mixes: int = 16
    cloud: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = [label for label in self.fallbacks if label not in (BF16, FP32)]
        if wrong:
            raise SettingsError(
                f"Single ops cannot fall back to {wrong[0]!r}.", f"Choose from {BF16}, {FP32}."
            )


class Design:
    """The configurations that do not depend on measurements.

    Args:
        parameters: Name to values, in graph order.
        default: Label of each parameter in the default int8 configuration, same order.
        options: How much of each part.
    """

    def __init__(
        self, parameters: Mapping[str, Labels], default: Labels, options: DesignOptions
    ) -> None:
        self.names = tuple(parameters)
        self.default = default
        self._values = tuple(parameters.values())
        self.options = options

    def uniform(self, label: str) -> Labels:
        """Every parameter at this label, or at its default where it does not have it."""
        if label == INT8:
            return self.default
        return tuple(
            label if label in values else usual
            for values, usual in zip(self._values, self.default, strict=True)
        )

    def __iter__(self) -> Iterator[tuple[str, Labels]]:
        """Origin and labels of each."""
        options = self.options
        for label in (INT8, BF16, FP32):
            yield f"all {label}", self.uniform(label)
        for label in options.fallbacks:
            for p, name in enumerate(self.names):
                yield f"{FALLBACK} {label}: {name}", self._but(self.default, p, label)
        if options.only_int8:
            for p, name in enumerate(self.names):
                labels = list(self.uniform(FP32))
                labels[p] = self.default[p]
                yield f"{ONLY_INT8}: {name}", tuple(labels)
        rng = np.random.default_rng([options.seed, 1])
        for number in range(options.mixes):
            density = DENSITIES[number % len(DENSITIES)]
            yield f"mix {density}", self._mix(rng, density, segment_ops=1)
        for number in range(options.segment_mixes):
            density = DENSITIES[number % len(DENSITIES)]
            yield f"segments {density}", self._mix(rng, density, segment_ops=SEGMENT_OPS)

    def take(self, in_int8: Sequence[bool], otherwise: Sequence[str]) -> Labels:
        """The default label where ``in_int8``, else the other one; fp32 for ops without that."""
        return tuple(
            usual if inside else next((label for label in (other, FP32) if label in values), usual)
            for inside, other, values, usual in zip(
                in_int8, otherwise, self._values, self.default, strict=True
            )
        )

    def _mix(self, rng: np.random.Generator, density: float, *, segment_ops: int) -> Labels:
        count = len(self.names)
        # With a mean length of one every op starts a segment of its own.
        starts = rng.random(count) < 1 / segment_ops
        segment = np.cumsum(starts) - starts[0]
        in_int8 = rng.random(count)[segment] < density
        # One mixture leans to bf16, another to fp32.
        otherwise = np.where(rng.random(count)[segment] < rng.random(), BF16, FP32)
        return self.take(in_int8.tolist(), otherwise.tolist())

    def _but(self, base: Labels, position: int, label: str) -> Labels:
        has = label in self._values[position]
        return tuple(label if p == position and has else usual for p, usual in enumerate(base))
