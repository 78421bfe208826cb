"""INC's tuning space as categorical parameters, and assignments back as INC configurations.

One parameter stands for one op, or for a group of ops that always take the same value. Its values
are labels of the ways the op can run, from least to most precise. Nothing here knows SigOpt.
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

OpKey = tuple[str, str]
Assignments = dict[str, str]

SAMPLING_SIZE_PARAMETER = "calib_sampling_size"
SAMPLING_SIZE_KEY = "calib_sampling_size"
ALIAS_LENGTH = 100
PRECISIONS = ("bf16", "fp16", "fp32")
_QUANTIZED_MODES = {
    "post_training_static_quant": ("static",),
    "post_training_dynamic_quant": ("dynamic",),
    "post_training_auto_quant": ("static", "dynamic"),
}
# Options that the TensorFlow adaptor drops when it translates a config (checked in INC 2.6 and
# 3.7.1, adaptor/tensorflow.py `_tuning_cfg_to_fw`): two options that differ only in these are one.
_IGNORED_ITEMS: dict[str, frozenset[tuple[str, str]]] = {
    "tensorflow": frozenset(
        {("weight", "algorithm"), ("weight", "scheme"), ("activation", "granularity")}
    ),
}
# What a label says when an option differs from the op's default int8 option.
_ITEM_WORDS = {
    ("activation", "algorithm"): "{}",
    ("activation", "scheme"): "{}",
    ("activation", "granularity"): "act-{}",
    ("weight", "granularity"): "{}",
    ("weight", "scheme"): "weight-{}",
    ("weight", "algorithm"): "weight-{}",
}


@dataclass(frozen=True)
class OpOption:
    """One way an op can run: a label and what INC's ``OpTuningConfig`` needs to build it."""

    label: str
    quant_mode: str
    kwargs: tuple[tuple[Any, Any], ...]

    @classmethod
    def of(cls, config: Any) -> OpOption:
        """The option, still without a label, that an ``OpTuningConfig`` chooses."""
        # INC's initial configuration writes the mode "precision" where its samplers write "fp32".
        if config.act_dtype in PRECISIONS:
            return cls("", config.act_dtype, ())
        return cls("", config.op_quant_mode, tuple(config.kwargs.items()))

    def identity(self, ignored: frozenset[Any]) -> tuple[Any, ...]:
        """What two options share when they give the same graph."""
        items = (item for item in self.kwargs if item[0] in _ITEM_WORDS and item[0] not in ignored)
        return (self.quant_mode, *sorted((str(k), str(v)) for k, v in items))


@dataclass(frozen=True)
class Parameter:
    """A categorical parameter: the ops that it decides and its values, least precise first."""

    name: str
    ops: tuple[OpKey, ...]
    values: tuple[str, ...]


class SearchSpace:
    """The parameters of an experiment and the translation both ways.

    Attributes:
        parameters: What the experiment searches over, in graph order (input to output).
        fixed: Ops with one option only (or locked), and that option's label.
        default: Assignments that stand for INC's default configuration.
    """

    def __init__(
        self,
        tuning_space: Any,
        op_options: Mapping[OpKey, Sequence[OpOption]],
        parameters: Sequence[Parameter],
        fixed: Mapping[OpKey, str],
        sampling_sizes: Sequence[int],
        default: Assignments,
        ignored: frozenset[Any],
    ) -> None:
        self._tuning_space = tuning_space
        self._ignored = ignored
        self._options = {op: {o.label: o for o in options} for op, options in op_options.items()}
        self.parameters = tuple(parameters)
        self.fixed = dict(fixed)
        self.sampling_sizes = tuple(sampling_sizes)
        self.default = default

    @property
    def ops(self) -> tuple[OpKey, ...]:
        """All quantizable ops, searched and fixed, in graph order."""
        return tuple(self._options)

    @property
    def size(self) -> int:
        """Number of different assignments."""
        return math.prod(len(p.values) for p in self.parameters)

    def decode(self, assignments: Mapping[str, str]) -> dict[Any, Any]:
        """The op-wise configuration that INC's ``traverse`` takes.

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
            for op in parameter.ops:
                labels[op] = value
        config: dict[Any, Any] = {op: self._build(op, labels[op]) for op in self._options}
        size = assignments.get(SAMPLING_SIZE_PARAMETER, str(self.sampling_sizes[0]))
        config[SAMPLING_SIZE_KEY] = int(size)
        return config

    def encode(self, config: Mapping[Any, Any]) -> Assignments:
        """The assignments that stand for an INC op-wise configuration; inverse of ``decode``."""
        assignments: Assignments = {}
        for parameter in self.parameters:
            if parameter.name == SAMPLING_SIZE_PARAMETER:
                assignments[parameter.name] = str(config[SAMPLING_SIZE_KEY])
            else:
                assignments[parameter.name] = self.label_of(config[parameter.ops[0]])
        return assignments

    def label_of(self, op_config: Any) -> str:
        """The label of an ``OpTuningConfig`` of this space."""
        op = op_config.op_name_type
        wanted = OpOption.of(op_config).identity(self._ignored)
        for label, option in self._options[op].items():
            if option.identity(self._ignored) == wanted:
                return label
        raise SettingsError(
            f"No option of op {op[0]!r} gives the configuration {op_config.get_state()}."
        )

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
            f"{len(self._options)} ops, {len(self.parameters)} parameters with {values} values, "
            f"{len(self.fixed)} ops fixed, about 10^{exponent:.1f} configurations"
        )

    def _build(self, op: OpKey, label: str) -> Any:
        # Imported late: INC's import registers the strategy, which imports this module.
        from neural_compressor.strategy.utils.tuning_structs import OpTuningConfig

        option = self._options[op][label]
        return OpTuningConfig(
            op[0], op[1], option.quant_mode, self._tuning_space, kwargs=dict(option.kwargs)
        )


@dataclass(frozen=True)
class SpaceRequest:
    """What the user asked of the search space; see ``Settings`` for the fields."""

    preset: str = "dtype"
    locked_ops: Mapping[str, str] | None = None
    excluded_ops: Sequence[str] = ()
    max_parameters: int | None = None
    excluded_precisions: Sequence[str] = ()


def build_search_space(
    tuning_space: Any,
    *,
    approach: str,
    framework: str,
    default_config: Mapping[Any, Any],
    sampling_sizes: Sequence[int],
    graph_order: Mapping[str, int],
    request: SpaceRequest | None = None,
) -> SearchSpace:
    """Turn INC's tuning space into parameters.

    Args:
        tuning_space: INC's ``TuningSpace`` after the user's op-wise settings were merged.
        approach: INC's quantization approach, for instance ``post_training_static_quant``.
        framework: INC's framework name.
        default_config: Op to ``OpTuningConfig`` of INC's initial configuration.
        sampling_sizes: Calibration sampling sizes; two or more become a parameter.
        graph_order: Op name to position in the graph, from the input on.
        request: Preset, locks and grouping.

    Raises:
        SettingsError: A lock names a pattern that matches no op, or a value an op does not have.
    """
    request = request or SpaceRequest()
    ops = sorted(
        (op for op in default_config if isinstance(op, tuple)),
        key=lambda op: (graph_order.get(op[0], len(graph_order)), op),
    )
    ignored = _IGNORED_ITEMS.get(framework.split("_")[0], frozenset())
    # fp32 is what the model is; it cannot be excluded.
    precisions = [p for p in PRECISIONS if p == "fp32" or p not in request.excluded_precisions]
    all_options = {
        op: _op_options(tuning_space, op, approach, default_config[op], ignored, precisions)
        for op in ops
    }
    default_labels = {op: options[0].label for op, options in all_options.items()}
    offered = {
        op: _preset(options, default_labels[op], request.preset)
        for op, options in all_options.items()
    }
    fixed = _locks(all_options, request)
    fixed.update({op: o[0].label for op, o in offered.items() if len(o) < 2 and op not in fixed})
    values = {op: _ordered(o) for op, o in offered.items() if op not in fixed}
    aliases = parameter_aliases(ops)
    parameters = [Parameter(aliases[op], (op,), labels) for op, labels in values.items()]
    if request.max_parameters is not None:
        parameters = _group(parameters, request.max_parameters)
    default = {p.name: default_labels[p.ops[0]] for p in parameters}
    sampling_sizes = list(dict.fromkeys(sampling_sizes))
    if len(sampling_sizes) > 1:
        sizes = tuple(str(size) for size in sampling_sizes)
        parameters.append(Parameter(SAMPLING_SIZE_PARAMETER, (), sizes))
        default[SAMPLING_SIZE_PARAMETER] = sizes[0]
    return SearchSpace(
        tuning_space, all_options, parameters, fixed, sampling_sizes, default, ignored
    )


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


def _op_options(
    tuning_space: Any,
    op: OpKey,
    approach: str,
    default: Any,
    ignored: frozenset[Any],
    precisions: Sequence[str],
) -> list[OpOption]:
    """All distinct options of an op, INC's default one first."""
    candidates = [OpOption.of(default)]
    for mode in _QUANTIZED_MODES.get(approach, ()):
        candidates.extend(_quantized_options(tuning_space, op, mode))
    for precision in precisions:
        path = ("precision", "activation", precision)
        if tuning_space.query_quant_mode_item_by_full_path(op, path) is not None:
            candidates.append(OpOption("", precision, ()))
    distinct: dict[tuple[Any, ...], OpOption] = {}
    for candidate in candidates:
        label = _label(candidate, candidates[0], ignored)
        distinct.setdefault(
            candidate.identity(ignored), OpOption(label, candidate.quant_mode, candidate.kwargs)
        )
    return list(distinct.values())


def _quantized_options(tuning_space: Any, op: OpKey, mode: str) -> list[OpOption]:
    if tuning_space.query_quant_mode_item_by_full_path(op, (mode,)) is None:
        return []
    paths = tuning_space.get_op_default_path_by_pattern(op, mode)
    dtypes = {
        f"{part}_dtype": tuning_space.ops_data_type[op].get(path) for part, path in paths.items()
    }
    items: list[Any] = []
    for path in paths.values():
        leaf = tuning_space.query_quant_mode_item_by_full_path(op, path)
        items.extend(item for item in leaf.options if item.name in _ITEM_WORDS)
    names = [item.name for item in items]
    return [
        OpOption("", mode, tuple({**dtypes, **dict(zip(names, chosen, strict=True))}.items()))
        for chosen in itertools.product(*(item.options for item in items))
    ]


def _label(option: OpOption, default: OpOption, ignored: frozenset[Any]) -> str:
    if option.quant_mode in PRECISIONS:
        return option.quant_mode
    kwargs, usual = dict(option.kwargs), dict(default.kwargs)
    words = ["int8"]
    if option.quant_mode != default.quant_mode and default.quant_mode not in PRECISIONS:
        words.append(option.quant_mode)
    for item, word in _ITEM_WORDS.items():
        if item not in ignored and kwargs.get(item) != usual.get(item, kwargs.get(item)):
            words.append(word.format(str(kwargs[item]).replace("_", "-")))
    return "-".join(words)


def _preset(options: Sequence[OpOption], default: str, preset: str) -> list[OpOption]:
    quantized = [o for o in options if o.quant_mode not in PRECISIONS]
    precise = [o for o in options if o.quant_mode in PRECISIONS]
    if preset == "int8" and quantized:
        return quantized
    if preset == "full":
        return list(options)
    best = [o for o in quantized if o.label == default] or quantized[:1]
    return best + precise


def _ordered(options: Sequence[OpOption]) -> tuple[str, ...]:
    rank = {"bf16": 1, "fp16": 2, "fp32": 3}
    return tuple(o.label for o in sorted(options, key=lambda o: rank.get(o.quant_mode, 0)))


def _locks(options: Mapping[OpKey, Sequence[OpOption]], request: SpaceRequest) -> dict[OpKey, str]:
    wanted = {
        **dict.fromkeys(request.excluded_ops, "fp32"),
        **(request.locked_ops or {}),
    }
    fixed: dict[OpKey, str] = {}
    for pattern, label in wanted.items():
        key = "locked_ops" if pattern in (request.locked_ops or {}) else "excluded_ops"
        matched = [op for op in options if re.search(pattern, op[0])]
        if not matched:
            raise SettingsError(
                f"{key}: {pattern!r} matches none of the {len(options)} ops of the model.",
                f"The first op is {next(iter(options), ('none', ''))[0]!r}.",
            )
        for op in matched:
            labels = [o.label for o in options[op]]
            if label not in labels:
                raise SettingsError(
                    f"{key}: op {op[0]!r} cannot run as {label!r}.",
                    f"It can run as {', '.join(labels)}.",
                )
            fixed[op] = label
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
