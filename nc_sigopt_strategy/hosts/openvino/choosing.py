"""From the fully quantized model to one where some ops are float.

NNCF would calibrate again for every choice (its ``ignored_scope``). Ranges depend on FP32's
activations only, not on what other ops run as, so what belongs to the float ops can be taken out
of the model where all are quantized. With fast bias correction (Finkelstein et al., "Fighting
Quantization Bias With Bias", 2019) the result is the same to the bit, which the tests hold. There
are three differences. The full correction corrects an op for what those before it do in int8, so
that NNCF's own mix has biases that differ a little. NNCF's overflow fix, where a processor needs
it, is on the first convolution that is quantized, and here on the first of all. And of a
transformer NNCF smooths the inputs of float ops as well, a Multiply that their weights take back:
here they stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import openvino as ov

from nc_sigopt_strategy.backends.openvino_graph import constant_nodes
from nc_sigopt_strategy.hosts.openvino.groups import Group

_BRANCHING = "If"


def restored_nodes(original: ov.Model, groups: Iterable[Group]) -> list[str]:
    """Names of the nodes whose inputs are to be as they were for the ops of groups to be float.

    Args:
        original: The model before it was quantized.
        groups: What is float.
    """
    known, constants = _by_name(original), constant_nodes(original)
    found: dict[str, None] = {}
    for group in groups:
        found.update(dict.fromkeys(group.members))
        for name in group.ops:
            found.update(dict.fromkeys(_biases(known[name], constants)))
    return list(found)


def with_restored(quantized: ov.Model, original: ov.Model, names: Iterable[str]) -> ov.Model:
    """A copy of the quantized model in which nodes read what they read before.

    Args:
        quantized: With everything quantized that can be; not changed.
        original: The same before; not changed.
        names: Of the nodes; see ``restored_nodes``.
    """
    model, source = quantized.clone(), original.clone()
    nodes, known = _by_name(model), _by_name(source)
    constants = constant_nodes(source)
    for name in names:
        _rewire(nodes[name], known[name], nodes, constants)
    _restore_branches(nodes, known)
    return ov.Model(
        model.get_results(), model.get_sinks(), model.get_parameters(), model.get_friendly_name()
    )


def _rewire(node: Any, known: Any, nodes: Mapping[str, Any], constants: set[str]) -> None:
    """Let a node read what it read before; constants come with all that makes them."""
    for position, before in enumerate(known.input_values()):
        owner = before.get_node().get_friendly_name()
        if owner not in constants:
            before = nodes[owner].output(before.get_index())
        node.input(position).replace_source_output(before)


def _biases(known: Any, constants: set[str]) -> list[str]:
    """Names of the Adds of a constant right after an op: where NNCF corrects its bias."""
    readers = [port.get_node() for port in known.output(0).get_target_inputs()]
    return [
        reader.get_friendly_name()
        for reader in readers
        if reader.get_type_name() == "Add"
        and any(v.get_node().get_friendly_name() in constants for v in reader.input_values())
    ]


def _restore_branches(nodes: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """NNCF quantizes the bodies of branches as well; nothing of ours decides on them."""
    for name, node in known.items():
        if node.get_type_name() == _BRANCHING:
            for index in (0, 1):
                nodes[name].set_function(index, node.get_function(index))


def _by_name(model: ov.Model) -> dict[str, Any]:
    return {node.get_friendly_name(): node for node in model.get_ops()}
