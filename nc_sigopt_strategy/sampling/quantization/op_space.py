"""The search space as arrays: ops in graph order, the types they can take, who reads whom."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import CategoricalDistribution

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FLOAT_TYPES = ("bf16", "fp16", "fp32")
QUANTIZED = "int8"
# What is taken for every op where the record says nothing of sizes.
_UNKNOWN = "op"


@dataclass(frozen=True)
class OpSpace:
    """Parameters by position, in graph order.

    The values of a parameter fall into types: all values of one type cost the same time. Types are
    numbered over the whole space; ``-1`` pads.

    Attributes:
        names: Of the parameters, shape (P,).
        labels: Their values, least precise first.
        types: Name of each type, shape (T,).
        type_of: Type of each value, shape (P, V), ``-1`` where a parameter has fewer values.
        compute: Share of the multiply-adds of all ops, shape (P,), sum 1.
        traffic: Share of the elements moved, shape (P,), sum 1.
        groups: Position of each parameter's op type among ``group_names``, shape (P,).
        group_names: The op types that occur.
        edges: Positions (producer, consumer), shape (E, 2).
        edge_sizes: Share of the elements on all edges, shape (E,), sum 1.
        is_op: Which parameters stand for ops, shape (P,).
    """

    names: tuple[str, ...]
    labels: tuple[tuple[Any, ...], ...]
    types: tuple[str, ...]
    type_of: Integers
    compute: Floats
    traffic: Floats
    groups: Integers
    group_names: tuple[str, ...]
    edges: Integers
    edge_sizes: Floats
    is_op: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        search_space: Mapping[str, CategoricalDistribution],
        op_graph: Mapping[str, Any] | None,
    ) -> OpSpace:
        """The space of an experiment.

        Args:
            search_space: Parameter name to its values.
            op_graph: ``{"parameters": [{"name", "op_type", "multiply_adds", "output_elements",
                "weight_elements"}, ...], "edges": [[producer, consumer, elements], ...]}``, in
                graph order; sizes are for one input and may be null. Without it parameters are
                taken for a chain in the natural order of their names.
        """
        known = {p["name"]: p for p in (op_graph or {}).get("parameters", ())}
        names = [name for name in known if name in search_space]
        names += sorted((name for name in search_space if name not in known), key=_natural)
        position = {name: p for p, name in enumerate(names)}
        labels = tuple(tuple(search_space[name].choices) for name in names)
        kinds = [
            [_type_name(name, label) for label in row]
            for name, row in zip(names, labels, strict=True)
        ]
        types = tuple(dict.fromkeys(kind for row in kinds for kind in row))
        number = {kind: t for t, kind in enumerate(types)}
        type_of = np.full((len(names), max(map(len, labels), default=0)), -1, np.int64)
        for p, row in enumerate(kinds):
            type_of[p, : len(row)] = [number[kind] for kind in row]
        is_op = np.array([any(_is_type(kind) for kind in row) for row in kinds], bool)
        rows = [known.get(name, {}) for name in names]
        kinds_of_op = [str(row.get("op_type") or _UNKNOWN) for row in rows]
        group_names = tuple(dict.fromkeys(kinds_of_op))
        edges, sizes = _edges(op_graph, position, is_op)
        moved = [_sum(row.get("output_elements"), row.get("weight_elements")) for row in rows]
        return cls(
            names=tuple(names),
            labels=labels,
            types=types,
            type_of=type_of,
            compute=_shares([row.get("multiply_adds") for row in rows], is_op),
            traffic=_shares(moved, is_op),
            groups=np.array([group_names.index(kind) for kind in kinds_of_op], np.int64),
            group_names=group_names,
            edges=edges,
            edge_sizes=sizes,
            is_op=is_op,
        )

    @classmethod
    def of_values(
        cls, values: Mapping[str, Sequence[str]], op_graph: Mapping[str, Any] | None
    ) -> OpSpace:
        """``of`` for parameters that are given by their plain values."""
        return cls.of({n: CategoricalDistribution(row) for n, row in values.items()}, op_graph)

    @property
    def sizes(self) -> Integers:
        """How many values each parameter has, shape (P,)."""
        sizes: Integers = (self.type_of >= 0).sum(axis=1).astype(np.int64)
        return sizes

    @property
    def is_quantized(self) -> npt.NDArray[np.bool_]:
        """Which values are integer ones, shape (P, V)."""
        quantized = np.array([kind.startswith(QUANTIZED) for kind in self.types] + [False])
        result: npt.NDArray[np.bool_] = quantized[self.type_of]
        return result

    def types_of(self, choices: Integers) -> Integers:
        """Types of configurations given by value positions; shape (N, P) to (N, P)."""
        types: Integers = self.type_of[np.arange(len(self.names)), choices]
        return types

    def assignments(self, choice: Integers) -> dict[str, Any]:
        """Value positions, shape (P,), as assignments."""
        return {name: row[v] for name, row, v in zip(self.names, self.labels, choice, strict=True)}


def is_type_choice(labels: Sequence[Any]) -> bool:
    """Whether these are values of an op: int8 in its variants, and floating-point types."""
    return all(_is_type(_type_name("", label)) for label in labels)


def _type_name(parameter: str, label: Any) -> str:
    """Values of one type cost the same time; what is no data type is a type of its own."""
    word = str(label).split("-")[0]
    if word in FLOAT_TYPES:
        return word
    if word == QUANTIZED:
        # Dynamic quantization measures its ranges while it runs, which takes time.
        return "int8-dynamic" if "dynamic" in str(label) else QUANTIZED
    return f"{parameter}={label}"


def _is_type(kind: str) -> bool:
    return kind in FLOAT_TYPES or kind.startswith(QUANTIZED)


def _natural(name: str) -> list[Any]:
    parts = re.split(r"(\d+)", name)
    return [int(part) if part.isdigit() else part for part in parts]


def _sum(*values: float | None) -> float | None:
    present = [value for value in values if value is not None]
    return math.fsum(present) if present else None


def _shares(values: Sequence[float | None], is_op: npt.NDArray[np.bool_]) -> Floats:
    """Shares of the total; what is unknown counts as the mean of what is known."""
    known = [value for value in values if value is not None]
    usual = (float(np.mean(known)) if known else 0.0) or 1.0
    filled = np.array([usual if value is None else float(value) for value in values])
    filled = np.where(is_op, filled, 0.0)
    total = filled.sum()
    return filled / total if total > 0 else filled


def _edges(
    op_graph: Mapping[str, Any] | None,
    position: Mapping[str, int],
    is_op: npt.NDArray[np.bool_],
) -> tuple[Integers, Floats]:
    if op_graph is None:
        ops = np.flatnonzero(is_op)
        listed = [(int(a), int(b), None) for a, b in itertools.pairwise(ops)]
    else:
        listed = [
            (position[a], position[b], sizes[0] if sizes else None)
            for a, b, *sizes in op_graph.get("edges", ())
            if a in position and b in position and a != b
        ]
    if not listed:
        return np.empty((0, 2), np.int64), np.empty(0)
    shares = _shares([size for _, _, size in listed], np.ones(len(listed), bool))
    return np.array([(a, b) for a, b, _ in listed], np.int64), shares
