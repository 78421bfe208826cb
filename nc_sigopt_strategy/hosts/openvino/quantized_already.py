"""Models that hold quantized ops or weights before anybody tunes them.

Such a model is no FP32 to compare with. OpenVINO has more than one form of them: what is simulated
is a ``FakeQuantize``; weights kept as integers, as NNCF's compression, MatMulInteger, ConvInteger
or a DequantizeLinear of a constant make them, are constants of few bits behind a ``Convert``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openvino as ov

from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.openvino.groups import FAKE_QUANTIZE

_WITH_WEIGHTS = (
    "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData",
    "MatMul",
)  # fmt: skip
# What stands between weights as they are kept and the op that reads them.
_UNPACKING = (
    "Convert", "Subtract", "Multiply", "Divide", "Add", "Reshape", "Transpose", "Squeeze",
    "Unsqueeze",
)  # fmt: skip
# Names of ``openvino.Type``, of which older versions lack some.
_FEW_BITS = (
    "i8", "u8", "i4", "u4", "u2", "nf4", "f8e4m3", "f8e5m2", "f4e2m1",
)  # fmt: skip


def refuse_quantized(model: ov.Model, what: str) -> None:
    """Refuse a model that is quantized already.

    Args:
        model: As OpenVINO read it.
        what: The model, for the message.

    Raises:
        ModelError: It is; the message counts and names ops.
    """
    count = sum(node.get_type_name() == FAKE_QUANTIZE for node in model.get_ops())
    packed = {
        node.get_friendly_name(): kept
        for node in model.get_ops()
        if node.get_type_name() in _WITH_WEIGHTS
        for kept in [_kept_as(node)]
        if kept
    }
    if count:
        has = f"it has {count} FakeQuantize ops"
    elif packed:
        name, kept = next(iter(packed.items()))
        has = f"the weights of {len(packed)} of its ops are kept as {kept} (the first is {name!r})"
    else:
        return
    raise ModelError(
        f"{what} is quantized already: {has}.", "Give the FP32 model that it was made from."
    )


def _kept_as(node: Any) -> str | None:
    """The type of few bits that weights of an op are kept in; ``None`` where there is none."""
    for value in node.input_values():
        leaves = list(_leaves(value.get_node()))
        if any(leaf.get_type_name() != "Constant" for leaf in leaves):
            continue  # computed from what is fed
        kinds = [str(leaf.get_element_type().to_string()) for leaf in leaves]
        kept = next((kind for kind in kinds if kind in _FEW_BITS), None)
        if kept is not None:
            return kept
    return None


def _leaves(node: Any) -> Iterator[Any]:
    """What a value is unpacked from."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.get_type_name() in _UNPACKING:
            # Where a Reshape or Transpose goes to says nothing of what is moved.
            inputs = current.input_values()
            moves = current.get_type_name() not in ("Subtract", "Multiply", "Divide", "Add")
            waiting += [value.get_node() for value in (inputs[:1] if moves else inputs)]
        else:
            yield current
