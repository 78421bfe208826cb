"""What ONNX Runtime runs as one: the ops of the search space, and what goes along with them.

A *group* is one or more nodes with weights (several if they share one), the activations that
follow them, and the sums and products that end their branch. It runs in int8 or in float as a
whole, so that no conversion arises inside of it. A *follower* has no weights and no label of its
own: it moves or joins values (MaxPool, Reshape, Concat, ...) and runs in int8 where what it reads
is int8. All other nodes stay in float: ONNX Runtime has no int8 kernel for them.

Measured (1.32, one thread): a residual sum in int8 makes a block 2.6 times as fast as float, left
in float between two convolutions 1.1 times; matrix products whose result stays float are faster
and more accurate than with a quantized result, because what reads them (norms, softmax, GELU) is
float anyway.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.space.ops import OpKey

# Results of these stay float.
FLOAT_RESULT = ("MatMul", "Gemm")
# Activations without weights that have an int8 kernel, or vanish in a quantization's limits.
_INT8_ACTIVATIONS = ("Relu", "Clip", "Sigmoid", "LeakyRelu")
_FLOAT_ACTIVATIONS = ("HardSigmoid", "HardSwish", "Tanh", "Elu", "Gelu", "PRelu", "Mish")
_PAIRWISE = ("Add", "Mul")
# Move values without changing them, and the first opset in which the quantizer takes them.
_MOVES = {
    "MaxPool": 12, "Resize": 11, "Reshape": 1, "Transpose": 1, "Squeeze": 1, "Unsqueeze": 1,
    "Flatten": 1, "Slice": 1, "Split": 1, "Gather": 1, "AveragePool": 1, "GlobalAveragePool": 1,
}  # fmt: skip
# All op types that the quantizer is told of.
QUANTIZABLE = (
    "Conv", "Gemm", "MatMul", *_INT8_ACTIVATIONS, *_PAIRWISE, *_MOVES, "Concat",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Nodes that run in int8 or in float together.

    Attributes:
        key: Name and type of the first node with weights.
        mains: The nodes with weights, and products of two activations.
        quantized: All nodes that the quantizer is to take, in graph order.
        nodes: All nodes, those included that stay float between the others.
        weights: The float initializers that are quantized.
        per_tensor_only: Those of them that have no scale per channel that could be used.
    """

    key: OpKey
    mains: tuple[str, ...]
    quantized: tuple[str, ...]
    nodes: tuple[str, ...]
    weights: tuple[str, ...]
    per_tensor_only: tuple[str, ...] = ()

    @property
    def has_float_result(self) -> bool:
        """Whether its result is float also when it runs in int8."""
        return self.key[1] in FLOAT_RESULT


@dataclass(frozen=True)
class Grouping:
    """All nodes that int8 has anything to do with.

    Attributes:
        groups: In graph order.
        followers: Names of the nodes that run in int8 where all that they read is int8.
        group_of: Node to its group, for all nodes of groups.
    """

    groups: tuple[Group, ...]
    followers: frozenset[str]
    group_of: Mapping[str, Group]

    def without(self, keys: Collection[str]) -> Grouping:
        """The same without the groups of some names, whose nodes stay float."""
        kept = tuple(group for group in self.groups if group.key[0] not in keys)
        return Grouping(
            kept, self.followers, {name: group for group in kept for name in group.nodes}
        )


def group_nodes(view: GraphView) -> Grouping:
    """Group the nodes of a model."""
    grower = _Grower(view)
    for name in view.nodes:
        grower.take(name)
    return grower.grouping()


class _Grower:
    """Goes over the nodes once, in topological order, and puts each where it belongs."""

    def __init__(self, view: GraphView) -> None:
        self._view = view
        # Node to the number of its group, and by number: its nodes in graph order.
        self._number: dict[str, int] = {}
        self._members: dict[int, list[str]] = {}
        self._float: set[str] = set()
        self._mains: dict[int, list[str]] = {}
        self._of_weight: dict[str, int] = {}
        self._followers: list[str] = []
        self._counter = itertools.count()

    def take(self, name: str) -> None:
        node = self._view.nodes[name]
        if node.domain not in ("", "ai.onnx"):
            return
        if _weights(self._view, name) is not None:
            self._begin(name)
        elif node.op_type in (*_INT8_ACTIVATIONS, *_FLOAT_ACTIVATIONS):
            self._activation(name)
        elif node.op_type in _PAIRWISE:
            self._pairwise(name)
        elif self._is_follower(name):
            self._followers.append(name)

    def grouping(self) -> Grouping:
        order = self._view.position
        groups = [self._group(number, order) for number in self._mains]
        groups.sort(key=lambda group: order[group.key[0]])
        return Grouping(
            tuple(groups),
            frozenset(self._followers),
            {name: group for group in groups for name in group.nodes},
        )

    def _group(self, number: int, order: Mapping[str, int]) -> Group:
        nodes = sorted(self._members[number], key=order.__getitem__)
        mains = sorted(self._mains[number], key=order.__getitem__)
        weights: dict[str, bool] = {}
        for main in mains:
            for name, per_channel in _weights(self._view, main) or ():
                weights[name] = per_channel and weights.get(name, True)
        return Group(
            (mains[0], self._view.nodes[mains[0]].op_type),
            tuple(mains),
            tuple(name for name in nodes if name not in self._float),
            tuple(nodes),
            tuple(weights),
            tuple(name for name, per_channel in weights.items() if not per_channel),
        )

    def _begin(self, name: str) -> None:
        weights = [weight for weight, _ in _weights(self._view, name) or ()]
        known = [self._of_weight[weight] for weight in weights if weight in self._of_weight]
        number = known[0] if known else next(self._counter)
        self._of_weight.update(dict.fromkeys(weights, number))
        self._mains.setdefault(number, []).append(name)
        self._join(name, number)

    def _join(self, name: str, number: int, *, stays_float: bool = False) -> None:
        self._number[name] = number
        self._members.setdefault(number, []).append(name)
        if stays_float:
            self._float.add(name)

    def _activation(self, name: str) -> None:
        view, node = self._view, self._view.nodes[name]
        number = self._number.get(view.writer.get(node.input[0], ""))
        has_kernel = node.op_type in _INT8_ACTIVATIONS and node.input[0] not in view.below
        if node.op_type == "Clip" and not _is_limit(view, name):
            has_kernel = False
        if number is not None:
            self._join(name, number, stays_float=not has_kernel or self._gives_float(number))
        elif has_kernel and node.input[0] in view.floats:
            self._followers.append(name)

    def _pairwise(self, name: str) -> None:
        view, node = self._view, self._view.nodes[name]
        read = view.inputs(name)
        others = [tensor for tensor in node.input if tensor not in read]
        if not read or any(view.float_constant(tensor) is None for tensor in others):
            return
        number = self._ends_branch_of(name, read)
        if number is not None:
            self._join(name, number, stays_float=self._gives_float(number))
        elif not others:
            self._followers.append(name)

    def _ends_branch_of(self, name: str, read: Sequence[str]) -> int | None:
        """The group whose branch ends in a sum or product: the last one that it alone reads."""
        view = self._view
        numbers = [self._number.get(view.writer.get(tensor, "")) for tensor in read]
        if None not in numbers and len(set(numbers)) == 1:
            return numbers[0]
        ending = [
            (view.position[view.writer[tensor]], number)
            for tensor, number in zip(read, numbers, strict=True)
            if number is not None
            and not self._gives_float(number)
            and view.read_only_by(tensor, name)
        ]
        if ending:
            return max(ending)[1]
        # The bias of a matrix product, or a scale behind it.
        single = numbers[0] if len(read) == 1 else None
        return single if single is not None and view.read_only_by(read[0], name) else None

    def _gives_float(self, number: int) -> bool:
        return self._view.nodes[self._mains[number][0]].op_type in FLOAT_RESULT

    def _is_follower(self, name: str) -> bool:
        view, node = self._view, self._view.nodes[name]
        if node.op_type == "Concat":
            return bool(node.input) and all(tensor in view.floats for tensor in node.input)
        if node.op_type not in _MOVES or view.opset < _MOVES[node.op_type]:
            return False
        # The indices of a MaxPool have no int8 form.
        one_result = node.op_type == "Split" or len([t for t in node.output if t]) == 1
        return node.input[0] in view.floats and one_result


def _weights(view: GraphView, name: str) -> list[tuple[str, bool]] | None:
    """The weights of a node and whether each can have a scale per channel.

    Returns:
        An empty list for a product of two activations; ``None`` for a node that is no main one.
    """
    node = view.nodes[name]
    if node.op_type in ("Conv", "Gemm"):
        weight = view.float_constant(node.input[1])
        bias = node.input[2] if len(node.input) > 2 else ""
        if weight is None or node.input[0] not in view.floats or node.input[1] in view.below:
            return None
        if bias and view.float_constant(bias) is None:
            return None
        return [(node.input[1], True)]
    if node.op_type != "MatMul":
        return None
    left, right = node.input
    if left in view.floats and right in view.floats:
        return []
    constant, other = (right, left) if left in view.floats else (left, right)
    weight = view.float_constant(constant)
    if weight is None or other not in view.floats or constant in view.below:
        return None
    if len(weight.dims) < 2:
        return None
    # The channels of a matrix product are the columns of its right side.
    return [(constant, constant == right and len(weight.dims) == 2)]


def _is_limit(view: GraphView, name: str) -> bool:
    """Whether a Clip has constant limits with 0 between them, which a quantized range implies."""
    node = view.nodes[name]
    ends = []
    for position, attribute, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        tensor = node.input[position] if len(node.input) > position else ""
        if tensor and view.float_constant(tensor) is None:
            return False
        value: Any = view.attribute(name, attribute, default)
        if tensor:
            value = onnx.numpy_helper.to_array(view.constants[tensor]).reshape(-1)[0]
        ends.append(float(value))
    return ends[0] <= 0 <= ends[1]
