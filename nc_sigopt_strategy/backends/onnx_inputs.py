"""The inputs of an ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.backends.onnx_protos import real_inputs
from nc_sigopt_strategy.backends.op_graph import Shape

# Types that onnx stands numpy's nearest in for.
_NOT_NUMPYS = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
    if hasattr(onnx.TensorProto, name)
)

# What ONNX Runtime calls types; text can come in more than one of numpy's.
_SESSION_TYPES = {
    **{f"tensor({kind})": np.dtype(kind) for kind in ("bool", "float16", "double")},
    **{f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}")
       for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "tensor(float)": np.dtype(np.float32),
}  # fmt: skip


def onnx_inputs(model: Any) -> list[ModelInput]:
    """The inputs of a ``ModelProto`` that have to be fed, in their order."""
    return [_input(info) for info in real_inputs(model)]


def session_inputs(session: Any) -> list[ModelInput]:
    """The same of an ``onnxruntime.InferenceSession``, which may not have its model any more."""
    return [
        ModelInput(node.name, _session_shape(node.shape), _SESSION_TYPES.get(node.type))
        for node in session.get_inputs()
    ]


def _session_shape(shape: Any) -> Shape:
    # A scalar and an input of unknown rank look the same.
    return tuple(n if isinstance(n, int) and n > 0 else None for n in shape) if shape else None


def _input(info: Any) -> ModelInput:
    if not info.type.HasField("tensor_type"):
        return ModelInput(info.name)
    tensor = info.type.tensor_type
    shape: Shape = None
    if tensor.HasField("shape"):
        # Some exporters write 0 or -1 where they mean any.
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
            for dim in tensor.shape.dim
        )
    dtype = None
    if tensor.elem_type and tensor.elem_type not in _NOT_NUMPYS:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return ModelInput(info.name, shape, dtype)
