"""Which ops of a model take int8 or float together: one choice each.

NNCF puts one FakeQuantize on a tensor for all who read it, and moves it up through what only
carries values (a transpose, a concatenation). Whoever reads one and the same FakeQuantize can
only leave int8 together; so can what stands between. What multiplies nothing (a pooling, the Add
of a residual) goes with the op that it comes after: the runtime fuses it, or it only moves memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import openvino as ov

from nc_sigopt_strategy.backends.openvino_graph import MULTIPLYING, constant_nodes
from nc_sigopt_strategy.space.ops import OpKey

FAKE_QUANTIZE = "FakeQuantize"
# Ops that carry values without computing any: a FakeQuantize before counts for what comes after.
_CARRYING = frozenset(
    ("BatchToSpace", "Broadcast", "Concat", "ConvertLike", "DepthToSpace", "Gather",
     "GatherElements", "GatherND", "MaxPool", "Maximum", "Minimum", "Pad", "ReduceMax", "Reshape",
     "Reverse", "ScatterElementsUpdate", "ScatterNDUpdate", "ScatterUpdate", "ShuffleChannels",
     "SpaceToBatch", "SpaceToDepth", "Split", "Squeeze", "StridedSlice", "Tile", "Transpose",
     "Unsqueeze", "VariadicSplit")
)  # fmt: skip
_MULTIPLYING = frozenset(
    (*MULTIPLYING, "LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell",
     "ScaledDotProductAttention", "DeformableConvolution")
)  # fmt: skip
_READ_NOT_COMPUTED = frozenset(("Result", "ShapeOf", FAKE_QUANTIZE))


@dataclass(frozen=True)
class Group:
    """Ops that are int8 or float together.

    Attributes:
        key: Of the main op, which stands for all.
        ops: Names of the ops that compute, in graph order; NNCF's ignored scope for a float.
        carriers: Names of what carries their quantized inputs.
    """

    key: OpKey
    ops: tuple[str, ...]
    carriers: tuple[str, ...]

    @property
    def members(self) -> tuple[str, ...]:
        """All that it holds."""
        return self.ops + self.carriers


def find_groups(quantized: ov.Model, original: ov.Model) -> list[Group]:
    """The groups of a model, in graph order of their main ops.

    Args:
        quantized: What NNCF made of it, with everything quantized that can be.
        original: The same before, with the same names.
    """
    return _Finder(quantized, original).groups()


class _Finder:
    def __init__(self, quantized: ov.Model, original: ov.Model) -> None:
        self._nodes = {n.get_friendly_name(): n for n in quantized.get_ordered_ops()}
        self._order = {name: position for position, name in enumerate(self._nodes)}
        self._constants = constant_nodes(quantized)
        self._known = {node.get_friendly_name(): node for node in original.get_ordered_ops()}
        self._joined: dict[str, str] = {}

    def groups(self) -> list[Group]:
        """See ``find_groups``."""
        for name, node in self._nodes.items():
            if name in self._constants:
                continue
            if node.get_type_name() == FAKE_QUANTIZE:
                self._join(self._reached_from(node))
            elif self._has_quantized_weights(node):
                self._join([name])
        self._give_light_ones_to_neighbours()
        found = [self._group(members) for members in self._sets().values()]
        return sorted(found, key=lambda group: self._order[group.key[0]])

    def _reached_from(self, quantizer: Any) -> list[str]:
        """Names of what reads a FakeQuantize, and of what carries its values there."""
        found: dict[str, None] = {}
        waiting = _readers(quantizer)
        while waiting:
            node = waiting.pop()
            name = node.get_friendly_name()
            if name in found or node.get_type_name() in _READ_NOT_COMPUTED:
                continue
            found[name] = None
            if node.get_type_name() in _CARRYING:
                waiting += _readers(node)
        return list(found)

    def _has_quantized_weights(self, node: Any) -> bool:
        known = self._known.get(node.get_friendly_name())
        if known is None:
            return False
        pairs = zip(node.input_values(), known.input_values(), strict=False)
        return any(
            now.get_node().get_friendly_name() in self._constants
            and now.get_node().get_type_name() != before.get_node().get_type_name()
            and _is_dequantized(now.get_node())
            for now, before in pairs
        )

    def _give_light_ones_to_neighbours(self) -> None:
        sets = list(self._sets().values())
        heavy = {name for names in sets if self._multiplies(names) for name in names}
        for names in sets:
            if not self._multiplies(names):
                met = self._nearest(names, heavy, self._sources)
                met = met or self._nearest(names, heavy, self._targets)
                self._join([names[0], met] if met else names)

    def _multiplies(self, names: Iterable[str]) -> bool:
        return any(self._nodes[name].get_type_name() in _MULTIPLYING for name in names)

    def _nearest(self, names: Sequence[str], wanted: set[str], step: Any) -> str | None:
        """The last of the nearest nodes that are wanted, in one direction."""
        seen, waiting, met = set(names), list(names), []
        while waiting:
            for other in step(self._nodes[waiting.pop()]):
                if other in seen or other in self._constants:
                    continue
                seen.add(other)
                if other in wanted:
                    met.append(other)
                else:
                    waiting.append(other)
        return max(met, key=self._order.__getitem__, default=None)

    @staticmethod
    def _sources(node: Any) -> list[str]:
        return [value.get_node().get_friendly_name() for value in node.input_values()]

    @staticmethod
    def _targets(node: Any) -> list[str]:
        return [reader.get_friendly_name() for reader in _readers(node)]

    def _group(self, members: Sequence[str]) -> Group:
        kinds = {name: self._nodes[name].get_type_name() for name in members}
        ops = tuple(name for name in members if kinds[name] not in _CARRYING) or tuple(members)
        main = next((name for name in ops if kinds[name] in _MULTIPLYING), ops[0])
        carriers = tuple(name for name in members if name not in ops)
        return Group((main, str(kinds[main])), ops, carriers)

    def _join(self, names: Sequence[str]) -> None:
        if not names:
            return
        first = self._root(names[0])
        for name in names:
            self._joined[self._root(name)] = first

    def _root(self, name: str) -> str:
        self._joined.setdefault(name, name)
        while self._joined[name] != name:
            name = self._joined[name]
        return name

    def _sets(self) -> dict[str, list[str]]:
        """The joined names in graph order, those that the original model knows."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._joined, key=self._order.__getitem__):
            if name in self._known:
                found.setdefault(self._root(name), []).append(name)
        return found


def _readers(node: Any) -> list[Any]:
    return [port.get_node() for output in node.outputs() for port in output.get_target_inputs()]


def _is_dequantized(node: Any) -> bool:
    """Whether a constant is made of whole numbers: a FakeQuantize, or a Convert and a scale."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        kind = each.get_type_name()
        if kind == FAKE_QUANTIZE:
            return True
        if kind == "Constant" and each.get_element_type().is_integral():
            return True
        waiting += [value.get_node() for value in each.input_values()]
    return False
