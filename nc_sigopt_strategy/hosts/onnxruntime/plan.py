"""Choices for groups, spelled out for ONNX Runtime's quantizer: nodes, tensors and ranges."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.grouping import Group, Grouping
from nc_sigopt_strategy.hosts.onnxruntime.range_methods import MIN_MAX
from nc_sigopt_strategy.space.ops import PRECISIONS, OpKey

INT8 = "int8"
# One scale for all channels; and each weight at its nearest step, as ONNX Runtime's own tools do.
PER_TENSOR, NEAREST = "per_tensor", "nearest"
# What reads one tensor of values; what else it reads are sizes and places.
_READ_ALL = ("Concat", "Add", "Mul")


@dataclass(frozen=True)
class Plan:
    """What is quantized, and how.

    Attributes:
        nodes: Names of the nodes that the quantizer is to take.
        methods: Tensor to the method that its range comes from, for all that get one.
        int8: Those of them that are int8 where they are made; the others are made in float.
        per_tensor: Weights with one scale for all channels.
        fitted: Weights whose rounding is fitted to data, where it was.
    """

    nodes: frozenset[str]
    methods: Mapping[str, str]
    int8: frozenset[str]
    per_tensor: tuple[str, ...]
    fitted: tuple[str, ...]


def is_quantized(label: str) -> bool:
    """Whether a label is one of int8."""
    return label not in PRECISIONS


def variant_of(label: str) -> str:
    """What stands behind the dash of an int8 label; empty for the usual one."""
    return label.partition("-")[2]


def plan_for(
    view: GraphView,
    grouping: Grouping,
    labels: Mapping[OpKey, str],
    *,
    without: Collection[str] = (),
) -> Plan:
    """Spell out choices.

    A tensor's range is found as the group says that makes it in int8, else as the first one says
    that reads it in int8.

    Args:
        view: The model.
        grouping: Of its nodes.
        labels: Group to its label; groups that are left out stay float.
        without: Tensors that have no range: what reads or makes them stays float.
    """
    if without:
        labels = {
            group.key: labels.get(group.key, PRECISIONS[-1])
            for group in grouping.groups
            if not any(_touches(view, name, without) for name in group.quantized)
        }
    spelled = _Spelling(view, grouping, labels, frozenset(without))
    for name in view.nodes:
        spelled.take(name)
    per_tensor: dict[str, None] = {}
    fitted: dict[str, None] = {}
    for group in grouping.groups:
        label = labels.get(group.key, PRECISIONS[-1])
        if not is_quantized(label):
            continue
        variant = variant_of(label)
        whole = group.weights if variant == PER_TENSOR else group.per_tensor_only
        per_tensor.update(dict.fromkeys(whole))
        if variant not in (PER_TENSOR, NEAREST):
            fitted.update(dict.fromkeys(w for w in group.weights if w not in per_tensor))
    return Plan(
        frozenset(spelled.nodes),
        spelled.methods,
        frozenset(spelled.int8),
        tuple(per_tensor),
        tuple(fitted),
    )


class _Spelling:
    def __init__(
        self,
        view: GraphView,
        grouping: Grouping,
        labels: Mapping[OpKey, str],
        without: frozenset[str],
    ) -> None:
        self._view = view
        self._grouping = grouping
        self._labels = labels
        self._without = without
        self._inside = {name for group in grouping.groups for name in group.quantized}
        self.nodes: set[str] = set()
        self.methods: dict[str, str] = {}
        self.int8: set[str] = set()

    def take(self, name: str) -> None:
        group = self._grouping.group_of.get(name)
        if group is not None:
            self._take_member(name, group)
        elif name in self._grouping.followers and not _touches(self._view, name, self._without):
            self._take_follower(name)

    def _take_member(self, name: str, group: Group) -> None:
        label = self._labels.get(group.key, PRECISIONS[-1])
        if name not in self._inside or not is_quantized(label):
            return
        variant = variant_of(label)
        method = MIN_MAX if variant in ("", PER_TENSOR, NEAREST) else variant
        self.nodes.add(name)
        for tensor in self._view.inputs(name):
            self.methods.setdefault(tensor, method)
        if not group.has_float_result:
            self._made(name, method)

    def _take_follower(self, name: str) -> None:
        node = self._view.nodes[name]
        read = list(node.input) if node.op_type in _READ_ALL else list(node.input[:1])
        if all(tensor in self.int8 for tensor in read):
            self.nodes.add(name)
            self._made(name, self.methods[read[0]])

    def _made(self, name: str, method: str) -> None:
        for tensor in self._view.nodes[name].output:
            if tensor in self._view.floats:
                self.methods[tensor] = method
                self.int8.add(tensor)


def _touches(view: GraphView, name: str, tensors: Collection[str]) -> bool:
    node = view.nodes[name]
    return any(tensor in tensors for tensor in (*node.input, *node.output))
