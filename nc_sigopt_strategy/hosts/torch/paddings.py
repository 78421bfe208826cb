"""Zeros in front of a convolution that it can put there itself.

Models that came from TensorFlow pad by an op of its own. PT2E knows no int8 padding, so what is
padded leaves int8, is copied in float32 and quantized again: in EfficientNet-Lite0 before each of
the 16 depthwise convolutions. A convolution's own padding costs nothing.
"""

from __future__ import annotations

from typing import Any

import torch

aten = torch.ops.aten

_CONV = aten.conv2d.default
_PADS = (aten.pad.default, aten.constant_pad_nd.default)
# Where the arguments of conv2d have the padding.
_PADDING = 4


def fold_paddings(module: torch.fx.GraphModule) -> int:
    """Give convolutions the zeros that are put around what they read, in place.

    Folded is what is as wide on both sides of an axis, and read by two-dimensional convolutions
    alone.

    Returns:
        How many paddings are gone.
    """
    folded = [node for node in list(module.graph.nodes) if _fold(node)]
    for node in folded:
        module.graph.erase_node(node)
    module.recompile()
    return len(folded)


def _fold(pad: Any) -> bool:
    if pad.op != "call_function" or pad.target not in _PADS:
        return False
    width = _width(pad)
    convs = list(pad.users)
    if width is None or not convs or not all(_takes(conv, pad) for conv in convs):
        return False
    for conv in convs:
        args = [*conv.args, *_defaults(len(conv.args))]
        own = args[_PADDING]
        # One number stands for both axes.
        rows, columns = own if len(own) == 2 else (own[0], own[0])
        args[_PADDING] = [rows + width[0], columns + width[1]]
        args[0] = pad.args[0]
        conv.args = tuple(args)
    return True


def _width(pad: Any) -> tuple[int, int] | None:
    """Rows and columns of zeros on each side; ``None`` for any other padding."""
    mode, value = "constant", None
    rest = list(pad.args[2:])
    if pad.target is aten.pad.default:
        mode = rest.pop(0) if rest else pad.kwargs.get("mode", mode)
    value = rest.pop(0) if rest else pad.kwargs.get("value", value)
    given = list(pad.args[1]) if len(pad.args) > 1 else []
    if mode != "constant" or value or not all(type(size) is int for size in given):
        return None
    if len(given) not in (2, 4):
        return None
    left, right, top, bottom = [*given, 0, 0][:4]
    if left != right or top != bottom or min(left, top) < 0:
        return None
    return top, left


def _takes(conv: Any, pad: Any) -> bool:
    if conv.op != "call_function" or conv.target is not _CONV or "padding" in conv.kwargs:
        return False
    shape = pad.meta["val"].shape
    return len(shape) == 4 and list(conv.args).count(pad) == 1 and conv.args[0] is pad


def _defaults(given: int) -> list[Any]:
    """What conv2d takes for the arguments up to the padding that are left out."""
    return [None, None, None, [1, 1], [0, 0]][given:]
