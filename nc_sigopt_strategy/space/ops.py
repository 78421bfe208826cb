"""What a host says of a model's ops: how each of them can run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# An op's name and type.
OpKey = tuple[str, str]

# Labels of the types that are not quantized, from least to most precise.
PRECISIONS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True)
class Op:
    """A quantizable op.

    Attributes:
        key: Its name and type.
        labels: The ways it can run, from least to most precise: quantized ones first (``int8``,
            ``int8-kl``, ...), then those of ``PRECISIONS`` that it has. Each gives another graph.
        default: The label that the host's own default configuration gives it.
        members: Other ops that the runtime makes one of with it: they run as it does, and their
            names stand for it too.
    """

    key: OpKey
    labels: tuple[str, ...]
    default: str
    members: tuple[OpKey, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the model."""
        return self.key[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those of its members."""
        return (self.name, *(name for name, _ in self.members))

    def offered(self, preset: str) -> tuple[str, ...]:
        """The labels that a preset of ``Settings.search_space`` offers, least precise first."""
        quantized = tuple(label for label in self.labels if label not in PRECISIONS)
        if preset == "int8" and quantized:
            return quantized
        if preset == "full":
            return self.labels
        best = (self.default,) if self.default in quantized else quantized[:1]
        return best + tuple(label for label in self.labels if label in PRECISIONS)


def least_precise_first(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Labels in the order of ``Op.labels``; those of one precision stay in their order.

    Args:
        labels: Label to its precision: one of ``PRECISIONS``, or any other word if quantized.
    """
    rank = {precision: position for position, precision in enumerate(PRECISIONS, start=1)}
    return tuple(sorted(labels, key=lambda label: rank.get(labels[label], 0)))


def type_of(label: str) -> str:
    """The type that a label stands for, without how it is calibrated: ``int8`` of ``int8-kl``."""
    return label.split("-")[0].split(" ")[0]


def ops_by_type(labels: Iterable[str]) -> dict[str, int]:
    """Type to how many of the labels stand for it, from least to most precise."""
    counts = Counter(type_of(label) for label in labels)
    ordered = least_precise_first({name: name for name in sorted(counts)})
    return {name: counts[name] for name in ordered}


@dataclass(frozen=True)
class Choices:
    """A whole configuration of a model.

    Attributes:
        labels: Every quantizable op to how it runs.
        sampling_size: How many inputs calibrate.
    """

    labels: Mapping[OpKey, str]
    sampling_size: int
