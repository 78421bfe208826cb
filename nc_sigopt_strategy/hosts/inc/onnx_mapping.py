"""A stand-in for ``onnx.mapping``, which onnx 1.19 no longer has and INC's ONNX adaptor reads."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import wrapt

_NAME = "onnx.mapping"


def supply_mapping_with_import() -> None:
    """Supply ``onnx.mapping`` as soon as onnx is imported; at once if it is."""
    wrapt.register_post_import_hook(supply_mapping, "onnx")


def supply_mapping(onnx: Any) -> None:
    """Give the module ``onnx`` a ``mapping`` if it has none.

    Of what the real one had there are the two tables that INC reads, between ONNX's types and
    numpy's.

    Args:
        onnx: The module.
    """
    if _NAME in sys.modules or importlib.util.find_spec(_NAME) is not None:
        return
    helper = onnx.helper
    numpy_types = {
        number: helper.tensor_dtype_to_np_dtype(number)
        for number in onnx.TensorProto.DataType.values()
        if number != onnx.TensorProto.UNDEFINED
    }
    mapping = types.ModuleType(_NAME, __doc__)
    mapping.TENSOR_TYPE_TO_NP_TYPE = numpy_types  # type: ignore[attr-defined]
    # The lower number wins: those of short floats have no dtype of their own in every version.
    mapping.NP_TYPE_TO_TENSOR_TYPE = {  # type: ignore[attr-defined]
        dtype: number for number, dtype in sorted(numpy_types.items(), reverse=True)
    }
    sys.modules[_NAME] = mapping
    onnx.mapping = mapping
