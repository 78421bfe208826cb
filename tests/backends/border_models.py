"""Tiny ONNX models in which an op with fp32 weights stands between int8 ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 8


def border_model(kind: str, *, between: str = "", bias: bool = True, relu: bool = False,
                 opset: int = 13, batch: int | str = "n") -> Any:  # fmt: skip
    """Input, Q and DQ, an op with fp32 weights of very unlike channels, Q and DQ.

    Args:
        kind: ``Conv``, ``depthwise``, ``ConvTranspose``, ``Gemm``, ``MatMul`` (with an Add) or
            ``MatMul3`` (the same on rank 3).
        between: ``MaxPool`` or ``Transpose`` between DQ and the op; only for convolutions.
        bias: Whether there is one.
        relu: Whether one follows.
        opset: Of ONNX.
        batch: First axis.
    """
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(CHANNELS, CHANNELS)).astype(np.float32)
    on_images = kind in ("Conv", "depthwise", "ConvTranspose")
    if on_images:
        inner = 1 if kind == "depthwise" else CHANNELS
        weights = rng.normal(size=(CHANNELS, inner, 3, 3)).astype(np.float32)
    weights[0] *= 50.0
    values = {
        "scale": np.float32(0.02), "zero": np.uint8(128), "out_scale": np.float32(0.5),
        "w": weights,
        "b": rng.normal(size=CHANNELS).astype(np.float32),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("QuantizeLinear", ["x", "scale", "zero"], ["xq"], "q0"),
        make("DequantizeLinear", ["xq", "scale", "zero"], ["xd"], "dq0"),
    ]
    tensor = "xd"
    if between:
        window = {"kernel_shape": [2, 2]} if between == "MaxPool" else {"perm": [0, 1, 3, 2]}
        nodes.append(make(between, [tensor], ["moved"], "between", **window))
        tensor = "moved"
    read = [tensor, "w", "b"] if bias else [tensor, "w"]
    if on_images:
        groups = CHANNELS if kind == "depthwise" else 1
        kernel = "ConvTranspose" if kind == "ConvTranspose" else "Conv"
        nodes.append(make(kernel, read, ["y"], "op", pads=[1] * 4, group=groups))
    elif kind == "Gemm":
        nodes.append(make("Gemm", read, ["y"], "op"))
    else:
        nodes.append(make("MatMul", [tensor, "w"], ["m"], "op"))
        nodes.append(make("Add", ["m", "b"], ["y"], "add"))
    last = "y"
    if relu:
        nodes.append(make("Relu", [last], ["r"], "relu"))
        last = "r"
    nodes += [
        make("QuantizeLinear", [last, "out_scale", "zero"], ["yq"], "q1"),
        make("DequantizeLinear", ["yq", "out_scale", "zero"], ["out"], "dq1"),
    ]
    inner_shape = {"MatMul3": [4, CHANNELS]}.get(kind, [CHANNELS])
    shape = [batch, *([CHANNELS, 6, 6] if on_images else inner_shape)]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "border",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in values.items() if n in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def images_for(model: Any) -> Any:
    """Two inputs of a model."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    shape = [2, *(dim.dim_value for dim in dims[1:])]
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def copy_of(model: Any) -> Any:
    """A model of its own."""
    return onnx.ModelProto.FromString(model.SerializeToString())
