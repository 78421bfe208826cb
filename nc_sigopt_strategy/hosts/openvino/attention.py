"""Whether a model attends (Vaswani et al., "Attention Is All You Need", 2017).

NNCF wants to be told that a model is a transformer: only then does it leave the attention mask's
Add in float and smooth activations before a MatMul (Xiao et al., "SmoothQuant", 2023).
"""

from __future__ import annotations

from typing import Any

import openvino as ov

from nc_sigopt_strategy.backends.openvino_graph import constant_nodes

_FUSED = "ScaledDotProductAttention"
_WEIGHING = "Softmax"
# What may stand between the weights of attention and the product with the values.
_BETWEEN = frozenset(
    ("Convert", "Multiply", "Reshape", "Select", "Squeeze", "Transpose", "Unsqueeze")
)


def attends(model: ov.Model) -> bool:
    """Whether a softmax weighs what another part of the model computed.

    A classifier's last softmax does not, nor does a softmax before multiplying by fixed weights.
    """
    constants = constant_nodes(model)
    for node in model.get_ops():
        if node.get_type_name() == _FUSED:
            return True
        if node.get_type_name() == _WEIGHING and _weighs(node, constants):
            return True
    return False


def _weighs(softmax: Any, constants: set[str]) -> bool:
    seen: set[str] = set()
    waiting = [softmax]
    while waiting:
        for port in waiting.pop().output(0).get_target_inputs():
            reader = port.get_node()
            name = reader.get_friendly_name()
            if name in seen:
                continue
            seen.add(name)
            if reader.get_type_name() == "MatMul":
                owners = [value.get_node().get_friendly_name() for value in reader.input_values()]
                if constants.isdisjoint(owners):
                    return True
            elif reader.get_type_name() in _BETWEEN:
                waiting.append(reader)
    return False
