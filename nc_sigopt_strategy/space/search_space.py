"""A model's ops as categorical parameters, and assignments back as choices for all ops.

One parameter stands for one op, or for a group of ops that always take the same value. Its values
are labels of the ways the op can run, from least to most precise. Nothing here knows SigOpt or a
host.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.space.ops import PRECISIONS, Choices, Op, OpKey

Assignments = dict[str, str]

SAMPLING_SIZE_PARAMETER = "calib_sampling_size"
ALIAS_LENGTH = 100


@dataclass(frozen=True)
class Parameter:
    """A categorical parameter: the ops that it decides and its values, least precise first."""

    name: str
    ops: tuple[OpKey, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class SearchSpace:
    """The parameters of an experiment and the translation both ways.

    Attributes:
        ops: All quantizable ops, searched and fixed, in graph order.
        parameters: What the experiment searches over, in graph order (input to output).
        fixed: Ops with one option only (or locked), and that option's label.
        sampling_sizes: How many inputs may calibrate.
        default: Assignments that stand for the host's default configuration.
    """

    ops: tuple[OpKey, ...]
    parameters: tuple[Parameter, ...]
    fixed: Mapping[OpKey, str]
    sampling_sizes: tuple[int, ...]
    default: Assignments

    @property
    def size(self) -> int:
        """Number of different assignments."""
        return math.prod(len(p.values) for p in self.parameters)

    def decode(self, assignments: Mapping[str, str]) -> Choices:
        """The choices that assignments stand for.

        Raises:
            SettingsError: A parameter is missing or a value is not one of its own.
        """
        labels = dict(self.fixed)
        for parameter in self.parameters:
            value = assignments.get(parameter.name)
            if value not in parameter.values:
                raise SettingsError(
                    f"Parameter {parameter.name!r} has no value {value!r}.",
                    f"Its values: {', '.join(parameter.values)}.",
                )
            labels.update(dict.fromkeys(parameter.ops, value))
        size = assignments.get(SAMPLING_SIZE_PARAMETER, str(self.sampling_sizes[0]))
        return Choices({op: labels[op] for op in self.ops}, int(size))

    def encode(self, choices: Choices) -> Assignments:
        """The assignments that stand for choices; inverse of ``decode``."""
        return {
            p.name: choices.labels[p.ops[0]] if p.ops else str(choices.sampling_size)
            for p in self.parameters
        }

    def describe(self) -> dict[str, Any]:
        """A JSON-safe record of ops, parameters and values, kept with the experiment."""
        return {
            "parameters": [
                {"name": p.name, "ops": [list(op) for op in p.ops], "values": list(p.values)}
                for p in self.parameters
            ],
            "fixed": [[*op, label] for op, label in self.fixed.items()],
            "calibration_sampling_sizes": list(self.sampling_sizes),
        }

    def summary(self) -> str:
        """One line: ops, parameters, values and the size of the space."""
        values = sum(len(p.values) for p in self.parameters)
        exponent = math.log10(self.size) if self.size else 0.0
        return (
            f"{len(self.ops)} ops, {len(self.parameters)} parameters with {values} values, "
            f"{len(self.fixed)} ops fixed, about 10^{exponent:.1f} configurations"
        )


@dataclass(frozen=True)
class SpaceRequest:
    """What the user asked of the search space; see ``Settings`` for the fields."""

    preset: str = "dtype"
    locked_ops: Mapping[str, str] | None = None
    excluded_ops: Sequence[str] = ()
    max_parameters: int | None = None


def build_search_space(
    ops: Sequence[Op], sampling_sizes: Sequence[int], request: SpaceRequest | None = None
) -> SearchSpace:
    """Turn a model's ops into parameters.

    Args:
        ops: The quantizable ops in graph order, from the input on.
        sampling_sizes: How many inputs may calibrate; two or more become a parameter.
        request: Preset, locks and grouping.

    Raises:
        SettingsError: A lock names a pattern that matches no op, or a value an op does not have.
    """
    request = request or SpaceRequest()
    fixed = _locks(ops, request)
    offered = {op.key: op.offered(request.preset) for op in ops}
    for key, labels in offered.items():
        if len(labels) < 2:
            fixed.setdefault(key, labels[0])
    aliases = parameter_aliases([op.key for op in ops])
    parameters = [
        Parameter(aliases[key], (key,), labels)
        for key, labels in offered.items()
        if key not in fixed
    ]
    if request.max_parameters is not None:
        parameters = _group(parameters, request.max_parameters)
    defaults = {op.key: op.default for op in ops}
    default = {p.name: defaults[p.ops[0]] for p in parameters}
    sizes = tuple(dict.fromkeys(sampling_sizes))
    if len(sizes) > 1:
        values = tuple(str(size) for size in sizes)
        parameters.append(Parameter(SAMPLING_SIZE_PARAMETER, (), values))
        default[SAMPLING_SIZE_PARAMETER] = values[0]
    return SearchSpace(tuple(defaults), tuple(parameters), fixed, sizes, default)


def parameter_aliases(ops: Sequence[OpKey]) -> dict[OpKey, str]:
    """Short, unique names for ops, the same in every run on the same model.

    The folders that all names share are dropped; what is still longer than SigOpt's 100
    characters is cut from the left and marked with a hash of the full name.
    """
    names = [op[0] for op in ops]
    prefix = os.path.commonprefix(names) if len(set(names)) > 1 else ""  # noqa: RUF071
    prefix = prefix[: prefix.rfind("/") + 1]
    aliases: dict[OpKey, str] = {}
    taken: set[str] = set()
    for op in ops:
        short = "".join(c if ord(c) >= 0x20 else "_" for c in op[0][len(prefix) :].strip())
        full = f"{op[0]}\0{op[1]}"
        mark = "~" + hashlib.sha256(full.encode()).hexdigest()[:8]
        if not short or len(short) > ALIAS_LENGTH - 20:
            short = short[-(ALIAS_LENGTH - 20 - len(mark)) :] + mark
        if short in taken or short == SAMPLING_SIZE_PARAMETER:
            short += mark
        taken.add(short)
        aliases[op] = short
    return aliases


def _locks(ops: Sequence[Op], request: SpaceRequest) -> dict[OpKey, str]:
    locked = request.locked_ops or {}
    wanted: dict[str, str | None] = {**dict.fromkeys(request.excluded_ops), **locked}
    fixed: dict[OpKey, str] = {}
    named: dict[OpKey, set[str]] = {}
    for pattern, wish in wanted.items():
        key = "locked_ops" if pattern in locked else "excluded_ops"
        matched = {op: {n for n in op.names if re.search(pattern, n)} for op in ops}
        if not any(matched.values()):
            first = ops[0].name if ops else "none"
            raise SettingsError(
                f"{key}: {pattern!r} matches none of the {len(ops)} ops of the model.",
                f"The first op is {first!r}.",
            )
        for op, names in matched.items():
            if not names:
                continue
            # What is excluded is not quantized: a runtime may have no fp32 for it, but bf16.
            label = op.labels[-1] if wish is None else wish
            if label not in (op.labels if wish else PRECISIONS):
                raise SettingsError(
                    f"{key}: op {op.name!r} cannot run as {wish or 'fp32'!r}.",
                    f"It can run as {', '.join(op.labels)}.",
                )
            # A later pattern for the same name stands; for another name of the op it contradicts.
            if fixed.get(op.key, label) != label and not named[op.key] & names:
                raise SettingsError(
                    f"{key}: {min(names)!r} shall run as {label!r} and {min(named[op.key])!r} as "
                    f"{fixed[op.key]!r}, but the runtime makes one op of them.",
                    "Give both the same value, or name one of them only.",
                )
            fixed[op.key] = label
            named.setdefault(op.key, set()).update(names)
    return fixed


def _group(parameters: Sequence[Parameter], limit: int) -> list[Parameter]:
    """Join neighbours that have the same values, smallest pairs first, down to ``limit``."""
    groups = list(parameters)
    while len(groups) > limit:
        pairs = [
            (len(a.ops) + len(b.ops), i)
            for i, (a, b) in enumerate(itertools.pairwise(groups))
            if a.values == b.values
        ]
        if not pairs:
            break
        _, i = min(pairs)
        joined = groups[i].ops + groups[i + 1].ops
        groups[i : i + 2] = [Parameter(groups[i].name, joined, groups[i].values)]
    return groups
