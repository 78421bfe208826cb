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


def onnx_inputs(model: Any) -> list[ModelInput]:
    """The inputs of a ``ModelProto`` that have to be fed, in their order."""
    return [_input(info) for info in real_inputs(model)]


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
