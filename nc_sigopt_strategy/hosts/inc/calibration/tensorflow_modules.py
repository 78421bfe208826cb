"""The classes of INC's TensorFlow side that calibration reaches into, wherever they lie.

INC 3.8 dropped the 2.x API and kept its converter, under other names of the same modules (checked
in 2.6, 3.7.1 and 3.8 to 3.10).
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

_OLD = "neural_compressor.adaptor"
if importlib.util.find_spec(_OLD) is not None:
    _UTILS, _MODELS = f"{_OLD}.tf_utils", "neural_compressor.model"
else:
    _MODELS = "neural_compressor.tensorflow"
    _UTILS = f"{_MODELS}.quantization.utils"


def _class(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


GraphConverter = _class(f"{_UTILS}.graph_converter", "GraphConverter")
BF16Convert = _class(f"{_UTILS}.graph_rewriter.bf16.bf16_convert", "BF16Convert")
InjectDummyBiasAddOptimizer = _class(
    f"{_UTILS}.graph_rewriter.generic.dummy_biasadd", "InjectDummyBiasAddOptimizer"
)
QuantizeGraphHelper = _class(f"{_UTILS}.quantize_graph_common", "QuantizeGraphHelper")
Model = _class(_MODELS, "Model")
