"""Which ops keep f32 in a model whose other float ops run in bf16.

OpenVINO's hint on precision is one for the whole model; ops that are marked keep the type that the
model says. What is marked follows the choices: a group in fp32 with all float ops that come after
it, up to the next groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openvino as ov

from nc_sigopt_strategy.backends.openvino_graph import constant_nodes
from nc_sigopt_strategy.hosts.openvino.groups import Group

_NOT_COMPUTING = ("Parameter", "Result")
_INT8, _FP32 = "int8", "fp32"


class FloatTypes:
    """Who decides on the precision of the nodes of a model.

    Args:
        model: Before it was quantized.
        groups: All of its groups.
    """

    def __init__(self, model: ov.Model, groups: Sequence[Group]) -> None:
        constants = constant_nodes(model)
        nodes = [n for n in model.get_ordered_ops() if n.get_friendly_name() not in constants]
        self._deciders = {name: {g.key[0]} for g in groups for name in g.members}
        for node in nodes:
            # In graph order, so that what comes before is known.
            self._deciders.setdefault(node.get_friendly_name(), self._of(_sources(node)))
        for node in reversed(nodes):
            name = node.get_friendly_name()
            # On the way from an input to the first groups: nobody decided before.
            self._deciders[name] = self._deciders[name] or self._of(_readers(node))
        self._computing = {
            n.get_friendly_name() for n in nodes if n.get_type_name() not in _NOT_COMPUTING
        }
        self._readers: dict[str, set[str]] = {group.key[0]: set() for group in groups}
        for node in nodes:
            for decider in self._deciders[node.get_friendly_name()]:
                self._readers[decider] |= self._of(_readers(node)) - {decider}

    def in_f32(self, labels: Mapping[str, str]) -> set[str]:
        """Names of the nodes that keep f32.

        Args:
            labels: Main op of each group to its label.
        """
        keeping = {main for main, label in labels.items() if self._keeps(main, labels)}
        return {name for name in self._computing if self._deciders[name] & keeping}

    def _of(self, names: Iterable[str]) -> set[str]:
        return set().union(*(self._deciders.get(name, set()) for name in names))

    def _keeps(self, main: str, labels: Mapping[str, str]) -> bool:
        if labels[main] != _INT8:
            return labels[main] == _FP32
        # An int8 op that only fp32 ops read as a float gives its output to them as it is.
        read = {labels[reader] for reader in self._readers[main]} - {_INT8}
        return read == {_FP32}


def _sources(node: Any) -> list[str]:
    return [value.get_node().get_friendly_name() for value in node.input_values()]


def _readers(node: Any) -> list[str]:
    return [
        port.get_node().get_friendly_name()
        for output in node.outputs()
        for port in output.get_target_inputs()
    ]
