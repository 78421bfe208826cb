"""What a user could pick instead: each runtime's own models, which stand beside ours.

The names are those of strategies in a run configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TENSORFLOW, ONNXRUNTIME, OPENVINO = "tensorflow", "onnxruntime", "openvino"
# As people write them.
RUNTIME_TITLES = {
    TENSORFLOW: "TensorFlow",
    ONNXRUNTIME: "ONNX Runtime",
    OPENVINO: "OpenVINO",
}
# What the sigopt strategy tunes with, to where its models run; "inc" tunes the model as it is.
INC, INC3 = "inc", "inc3"
HOST_RUNTIMES = {INC: None, INC3: TENSORFLOW, ONNXRUNTIME: ONNXRUNTIME, OPENVINO: OPENVINO}
# Modules to what pip installs them by.
REQUIREMENTS = {
    "tensorflow": "tensorflow-cpu",
    "onnxruntime": "onnxruntime",
    "onnx": "onnx",
    "sympy": "sympy",
    "openvino": "openvino",
    "nncf": "nncf",
    "neural_compressor": "neural-compressor",
}
HOST_MODULES = {
    INC: ("neural_compressor",),
    INC3: ("neural_compressor", "tensorflow"),
    ONNXRUNTIME: ("onnxruntime", "onnx"),
    OPENVINO: ("openvino", "nncf"),
}
_PRESETS = {"preset": ("mixed", "performance")}
_QUANTIZE = {**_PRESETS, "fast_bias_correction": (True, False)}
_INTEGERS = ("QInt8", "QUInt8")
STATIC_CHOICES: dict[str, tuple[Any, ...]] = {
    "calibrate_method": ("minmax", "entropy", "percentile"),
    "per_channel": (True, False),
    "activation_type": _INTEGERS,
    "weight_type": _INTEGERS,
}


@dataclass(frozen=True)
class Rival:
    """One way to a model without a tuner of ours.

    Attributes:
        runtime: Where the model runs.
        what: What the model is, for tables.
        modules: What must be importable in its environment.
        choices: Its ``strategy_kwargs``: key to the values that it can have.
        fp32: Whether it is the FP32 model itself, which others can be compared with.
    """

    runtime: str
    what: str
    modules: tuple[str, ...]
    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fp32: bool = False


RIVALS: dict[str, Rival] = {
    "tensorflow_fp32": Rival(TENSORFLOW, "FP32", ("tensorflow",), fp32=True),
    "tensorflow_bf16": Rival(TENSORFLOW, "its own bf16 rewrite", ("tensorflow",)),
    "inc3_autotune": Rival(
        TENSORFLOW, "INC 3's own autotune", ("neural_compressor", "tensorflow")
    ),
    "onnxruntime_fp32": Rival(ONNXRUNTIME, "FP32", ("onnxruntime",), fp32=True),
    "onnxruntime_static": Rival(
        ONNXRUNTIME, "quantize_static", ("onnxruntime", "onnx", "sympy"), STATIC_CHOICES
    ),
    "onnxruntime_debug": Rival(
        ONNXRUNTIME,
        "quantize_static, worst ops left out",
        ("onnxruntime", "onnx", "sympy"),
        STATIC_CHOICES,
    ),
    "openvino_fp32": Rival(OPENVINO, "FP32, hint f32", ("openvino",), fp32=True),
    "openvino_bf16": Rival(OPENVINO, "FP32 file, default run", ("openvino",)),
    "nncf_quantize": Rival(OPENVINO, "nncf.quantize", ("openvino", "nncf"), _QUANTIZE),
    "nncf_accuracy_control": Rival(
        OPENVINO, "NNCF accuracy control", ("openvino", "nncf"), _PRESETS
    ),
}
