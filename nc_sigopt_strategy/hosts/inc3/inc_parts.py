"""What this host takes of Neural Compressor; no other page of it imports Neural Compressor.

The first three are its public API. ``TensorFlowAdaptor`` is asked, by its method
``_query_fw_capability``, which ops of a model can be quantized and how, and ``TFConfig`` is told
where files may be left. Checked in 3.8 to 3.10.
"""

from __future__ import annotations

from neural_compressor.tensorflow import Model, StaticQuantConfig, quantize_model
from neural_compressor.tensorflow.algorithms import TensorFlowAdaptor
from neural_compressor.tensorflow.utils import TFConfig

__all__ = ["Model", "StaticQuantConfig", "TFConfig", "TensorFlowAdaptor", "quantize_model"]

CAPABILITY = "_query_fw_capability"
if not hasattr(TensorFlowAdaptor, CAPABILITY):
    raise ImportError(
        f"its TensorFlowAdaptor has no {CAPABILITY}", name="neural_compressor.tensorflow"
    )
