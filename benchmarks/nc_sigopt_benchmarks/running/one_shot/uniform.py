"""Every op in one type, where it can be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.choices import check_choices
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import ONNXRUNTIME, TENSORFLOW, serialize
from nc_sigopt_benchmarks.running.inc_config import INC_QUANT_FORMATS
from nc_sigopt_benchmarks.running.one_shot.built import OneShot
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.errors import ModelError, SettingsError

UNIFORM = "uniform"
_KEY = "dtype"
_TYPES = ("int8", "bf16", "fp32")


def check_uniform(kwargs: Mapping[str, Any], framework: str) -> None:
    """Raise ``SettingsError`` where there is no such model."""
    check_choices(UNIFORM, kwargs, {_KEY: _TYPES})
    if _KEY not in kwargs:
        raise SettingsError(f"{UNIFORM} needs {_KEY}.", f"Set it to one of {', '.join(_TYPES)}.")
    if kwargs[_KEY] == "bf16" and framework != TENSORFLOW:
        raise SettingsError(
            f"{UNIFORM} cannot make a bf16 model of an ONNX model.",
            "ONNX Runtime has no bf16 kernels on CPUs: use int8 or fp32.",
        )


def build_uniform(
    kwargs: Mapping[str, Any],
    model: BenchmarkModel,
    loader: Any,
    workspace: Path,
    *,
    quant_format: str,
    sampling_size: int,
) -> OneShot:
    """Build it through Neural Compressor; arguments as for ``build_one_shot``.

    "int8" is Neural Compressor's default model: each op in its preferred int8 variant.

    Raises:
        ModelError: Neural Compressor gave no model.
    """
    onnx = model.framework == ONNXRUNTIME
    further = {"quant_format": INC_QUANT_FORMATS[quant_format]} if onnx else {}
    quantizer = Quantizer(
        model.path,
        loader,
        workspace,
        inputs=() if onnx else model.inputs,
        outputs=() if onnx else model.outputs,
        sampling_size=sampling_size,
        preset="dtype",
        **further,
    )
    wanted = kwargs[_KEY]
    if wanted == "int8":
        assignments = dict(quantizer.space.default)
    else:
        assignments = quantizer.uniform(wanted, "fp32")
    built = quantizer.quantize(assignments)
    # INC's model objects: what its own evaluation hands to eval_func.
    evaluated = built.model
    serialized = serialize(evaluated)
    if serialized is None:
        raise ModelError(f"Neural Compressor gave a {type(evaluated).__name__}, not a model.")
    return OneShot(evaluated, serialized[0], quantizer.recipe(assignments))
