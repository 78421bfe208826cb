"""INC's tuning space as labels of what each op can be, and labels back as INC configurations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.space.ops import PRECISIONS, Choices, Op, OpKey, least_precise_first

SAMPLING_SIZE_KEY = "calib_sampling_size"
# Gets all ops and whether one may follow another; returns follower to whom it follows.
Fused = Callable[[Sequence[OpKey], Callable[[OpKey, OpKey], bool]], Mapping[OpKey, OpKey]]
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
    """One way an op can run: what INC's ``OpTuningConfig`` needs to build it."""

    quant_mode: str
    kwargs: tuple[tuple[Any, Any], ...]

    @classmethod
    def of(cls, config: Any) -> OpOption:
        """The option that an ``OpTuningConfig`` chooses."""
        # INC's initial configuration writes the mode "precision" where its samplers write "fp32".
        if config.act_dtype in PRECISIONS:
            return cls(config.act_dtype, ())
        return cls(config.op_quant_mode, tuple(config.kwargs.items()))

    def identity(self, ignored: frozenset[Any]) -> tuple[Any, ...]:
        """What two options share when they give the same graph."""
        items = (item for item in self.kwargs if item[0] in _ITEM_WORDS and item[0] not in ignored)
        return (self.quant_mode, *sorted((str(k), str(v)) for k, v in items))

    def likeness(self, other: OpOption) -> tuple[bool, int]:
        """How much another op's option is like this one: the mode first, then what it sets."""
        items = dict(self.kwargs)
        same = sum(items.get(k) == v for k, v in other.kwargs if k in _ITEM_WORDS)
        return self.quant_mode == other.quant_mode, same


class IncOptions:
    """What INC offers for each op of a model.

    Args:
        tuning_space: INC's ``TuningSpace`` after the user's op-wise settings were merged.
        default_config: Op to ``OpTuningConfig`` of INC's initial configuration.
        approach: INC's quantization approach, for instance ``post_training_static_quant``.
        framework: INC's framework name.
        graph_order: Op name to position in the graph, from the input on.
        excluded_precisions: Of ``PRECISIONS``; fp32 is what the model is and is always offered.
        fused: Which ops the framework makes one of with another, where INC lists both.

    Attributes:
        ops: The quantizable ops in graph order; what is fused is one.
    """

    def __init__(
        self,
        tuning_space: Any,
        default_config: Mapping[Any, Any],
        *,
        approach: str,
        framework: str,
        graph_order: Mapping[str, int],
        excluded_precisions: Sequence[str] = (),
        fused: Fused = lambda ops, may_follow: {},
    ) -> None:
        self._tuning_space = tuning_space
        self._modes = _QUANTIZED_MODES.get(approach, ())
        self._ignored = _IGNORED_ITEMS.get(framework.split("_")[0], frozenset())
        self._precisions = [p for p in PRECISIONS if p == "fp32" or p not in excluded_precisions]
        keys = sorted(
            (key for key in default_config if isinstance(key, tuple)),
            key=lambda key: (graph_order.get(key[0], len(graph_order)), key),
        )
        self._options = {key: self._options_of(key, default_config[key]) for key in keys}
        followed = fused(keys, self._can_follow)
        self._members: dict[OpKey, list[OpKey]] = {key: [] for key in keys if key not in followed}
        for follower in (key for key in keys if key in followed):
            self._members[followed[follower]].append(follower)
        self.ops = tuple(
            Op(
                key,
                least_precise_first({w: o.quant_mode for w, o in self._options[key].items()}),
                next(iter(self._options[key])),
                tuple(members),
            )
            for key, members in self._members.items()
        )

    def groups(self) -> dict[str, str]:
        """Op name to the name of the op that stands for it; its own for most."""
        return {name: op.name for op in self.ops for name in op.names}

    def configuration(self, choices: Choices) -> dict[Any, Any]:
        """The op-wise configuration of choices, as INC's ``next_tune_cfg`` yields it."""
        config: dict[Any, Any] = {}
        for key, label in choices.labels.items():
            option = self._options[key][label]
            config[key] = self._built(key, option)
            for member in self._members[key]:
                config[member] = self._built(member, self._like(option, member))
        config[SAMPLING_SIZE_KEY] = choices.sampling_size
        return config

    def choices_of(self, config: Mapping[Any, Any]) -> Choices:
        """The choices that give an op-wise configuration; inverse of ``configuration``."""
        labels = {key: self.label_of(config[key]) for key in self._members}
        return Choices(labels, int(config[SAMPLING_SIZE_KEY]))

    def label_of(self, op_config: Any) -> str:
        """The label of an ``OpTuningConfig``.

        Raises:
            SettingsError: The op has no such option.
        """
        key = op_config.op_name_type
        wanted = OpOption.of(op_config).identity(self._ignored)
        for label, option in self._options[key].items():
            if option.identity(self._ignored) == wanted:
                return label
        raise SettingsError(
            f"No option of op {key[0]!r} gives the configuration {op_config.get_state()}."
        )

    def _can_follow(self, follower: OpKey, leader: OpKey) -> bool:
        """Whether a follower can be quantized, and left alone, whenever the leader is."""
        own, leading = (
            {o.quant_mode in PRECISIONS for o in self._options[key].values()}
            for key in (follower, leader)
        )
        return own >= leading

    def _like(self, leading: OpOption, member: OpKey) -> OpOption:
        """The option of a member that is most like the one that the op it follows has."""
        options = list(self._options[member].values())
        precise = leading.quant_mode in PRECISIONS
        # Where it has no bf16 it stays what it is; a member of an int8 op is in int8.
        able = [o for o in options if (o.quant_mode in PRECISIONS) == precise]
        usual = [o for o in able if o.quant_mode == "fp32"]
        best = max(able, key=leading.likeness)
        return best if best.quant_mode == leading.quant_mode or not usual else usual[0]

    def _built(self, key: OpKey, option: OpOption) -> Any:
        # Imported late: INC's import registers the strategy, which imports this module.
        from neural_compressor.strategy.utils.tuning_structs import OpTuningConfig

        return OpTuningConfig(
            key[0], key[1], option.quant_mode, self._tuning_space, kwargs=dict(option.kwargs)
        )

    def _options_of(self, key: OpKey, default: Any) -> dict[str, OpOption]:
        """Label to option of all distinct options of an op, INC's default one first."""
        candidates = [OpOption.of(default)]
        for mode in self._modes:
            candidates.extend(self._quantized(key, mode))
        for precision in self._precisions:
            path = ("precision", "activation", precision)
            if self._tuning_space.query_quant_mode_item_by_full_path(key, path) is not None:
                candidates.append(OpOption(precision, ()))
        distinct: dict[tuple[Any, ...], OpOption] = {}
        for candidate in candidates:
            distinct.setdefault(candidate.identity(self._ignored), candidate)
        return {_label(o, candidates[0], self._ignored): o for o in distinct.values()}

    def _quantized(self, key: OpKey, mode: str) -> list[OpOption]:
        space = self._tuning_space
        if space.query_quant_mode_item_by_full_path(key, (mode,)) is None:
            return []
        paths = space.get_op_default_path_by_pattern(key, mode)
        dtypes = {
            f"{part}_dtype": space.ops_data_type[key].get(path) for part, path in paths.items()
        }
        items: list[Any] = []
        for path in paths.values():
            leaf = space.query_quant_mode_item_by_full_path(key, path)
            items.extend(item for item in leaf.options if item.name in _ITEM_WORDS)
        names = [item.name for item in items]
        return [
            OpOption(mode, tuple({**dtypes, **dict(zip(names, chosen, strict=True))}.items()))
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
