"""Which ops of an ONNX model run as a part of another one: they share a type with it.

ONNX Runtime makes one kernel of a convolution and the activation behind it, in fp32 as in int8; it
adds a bias where it multiplies; and a ``Reshape`` or a ``MaxPool`` only moves bytes, of whatever
type they are. A choice of their own would do no more than put a conversion before or behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.backends.op_graph import Shape

# As a host names an op: by its name and its type in the model.
Key = tuple[str, str]

# fmt: off
_ACTIVATIONS = frozenset([
    "Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Sigmoid",
    "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Mish", "Gelu", "FastGelu",
    "BiasGelu", "QuickGelu",
])
_ARITHMETIC = frozenset(["Add", "Sub", "Mul", "Div", "Sum", "Min", "Max", "BatchNormalization"])
_MOVING = frozenset([
    "MaxPool", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Split", "Slice",
    "Expand", "Tile", "Pad", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth",
    "CenterCropPad", "Gather", "GatherElements", "GatherND", "ArgMax", "Identity", "Dropout",
])
_FOLLOWING = _ACTIVATIONS | _ARITHMETIC | _MOVING | {"Concat"}
# Looked through where no op with a choice writes an input: element by element, of one tensor.
_TRANSPARENT = _ACTIVATIONS | _ARITHMETIC | {
    "Erf", "Exp", "Log", "Neg", "Abs", "Sqrt", "Reciprocal", "Pow", "Cast", "Identity", "Dropout",
}
# fmt: on
# What an unknown extent is taken for: more than one, as those of images and sentences are.
_UNKNOWN_EXTENT, _UNKNOWN_RANK = 32.0, 4


def fused_into(
    graph: Any,
    shapes: Mapping[str, Shape],
    ops: Sequence[Key],
    may_follow: Callable[[Key, Key], bool] = lambda follower, leader: True,
) -> dict[Key, Key]:
    """The op that each op runs as a part of.

    An activation, an arithmetic op or one that only moves its input follows the op that writes
    the largest of its inputs, the last one of equals: a convolution's ``Clip`` the convolution, a
    bias or a residual ``Add`` the op whose output it is added to. All others stand for themselves.

    Args:
        graph: A ``GraphProto`` in topological order.
        shapes: Of its tensors, as far as known.
        ops: Those with a choice of types, as (node name, node type).
        may_follow: Asked with a follower and the op that it would follow.

    Returns:
        Follower to the op that it follows, which follows none itself.
    """
    chosen = {name: (name, kind) for name, kind in ops}
    walk = _Walk(shapes, chosen)
    followed: dict[Key, Key] = {}
    for node in graph.node:
        key = chosen.get(node.name)
        if key is not None and node.op_type in _FOLLOWING:
            nearest = walk.writer_of_the_largest(node)
            leader = None if nearest is None else followed.get(nearest, nearest)
            if leader is not None and may_follow(key, leader):
                followed[key] = leader
        walk.passed(node)
    return followed


class _Walk:
    """The nodes passed so far, in topological order."""

    def __init__(self, shapes: Mapping[str, Shape], chosen: Mapping[str, Key]) -> None:
        self._shapes, self._chosen = shapes, chosen
        # Tensor to the node that writes it, and how many nodes came before that one.
        self._writers: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def passed(self, node: Any) -> None:
        """Go on behind a node; what comes from constants alone is a constant too."""
        self._nodes += 1
        if node.op_type != "Constant":
            self._writers.update(dict.fromkeys(node.output, (node, self._nodes)))

    def writer_of_the_largest(self, node: Any) -> Key | None:
        """The op with a choice that writes the largest input of a node, if one does."""
        read = [tensor for tensor in self._data(node) if tensor in self._writers]
        direct = [t for t in read if self._writers[t][0].name in self._chosen]
        if direct:
            best = max(direct, key=lambda t: (_size(self._shapes.get(t)), self._writers[t][1]))
            return self._chosen[self._writers[best][0].name]
        if len(read) != 1:
            return None
        before = self._writers[read[0]][0]
        if before.op_type not in _TRANSPARENT:
            return None
        return self.writer_of_the_largest(before) if self._reads_one(before) else None

    def _reads_one(self, node: Any) -> bool:
        return sum(tensor in self._writers for tensor in set(node.input)) == 1

    @staticmethod
    def _data(node: Any) -> Sequence[str]:
        # The others of a moving op say where to, and are often computed from shapes.
        return list(node.input[:1] if node.op_type in _MOVING else node.input)


def _size(shape: Shape) -> float:
    """Elements of a tensor for one input, guessed where they are unknown."""
    extents = [None] * _UNKNOWN_RANK if shape is None else shape[1:]
    size = 1.0
    for extent in extents:
        size *= _UNKNOWN_EXTENT if extent is None else extent
    return size
