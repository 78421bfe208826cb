"""Models that are built at once, without tuning: what a search has to be better than."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.running.one_shot.built import OneShot
from nc_sigopt_benchmarks.running.one_shot.quantize_static import (
    QUANTIZE_STATIC,
    build_quantize_static,
    check_quantize_static,
)
from nc_sigopt_benchmarks.running.one_shot.uniform import UNIFORM, build_uniform, check_uniform

ONE_SHOTS = frozenset({UNIFORM, QUANTIZE_STATIC})


def check_one_shot(name: str, kwargs: Mapping[str, Any], framework: str) -> None:
    """Make sure that a one-shot strategy can be built.

    Args:
        name: One of ``ONE_SHOTS``.
        kwargs: Its ``strategy_kwargs``.
        framework: Of the model.

    Raises:
        SettingsError: A key or value is wrong, or it cannot serve the framework.
    """
    (check_uniform if name == UNIFORM else check_quantize_static)(kwargs, framework)


def build_one_shot(
    name: str,
    kwargs: Mapping[str, Any],
    model: BenchmarkModel,
    loader: Any,
    workspace: Path,
    *,
    quant_format: str,
    sampling_size: int,
) -> OneShot:
    """Build the model of a one-shot strategy.

    Args:
        name: One of ``ONE_SHOTS``.
        kwargs: Its ``strategy_kwargs``.
        model: The FP32 model.
        loader: Yields (inputs, labels) to calibrate with.
        workspace: Where intermediate files may lie.
        quant_format: ``QOperator`` or ``QDQ``, for ONNX.
        sampling_size: How many inputs calibrate.

    Raises:
        SettingsError: As ``check_one_shot``.
    """
    check_one_shot(name, kwargs, model.framework)
    build = build_uniform if name == UNIFORM else build_quantize_static
    return build(
        kwargs, model, loader, workspace, quant_format=quant_format, sampling_size=sampling_size
    )
