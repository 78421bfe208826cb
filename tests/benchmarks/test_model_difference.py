"""What tells two quantized models apart."""

from __future__ import annotations

import numpy as np

from nc_sigopt_benchmarks.research.calibration.model_difference import (
    ModelDifference,
    PlainModel,
    model_difference,
)
from nc_sigopt_benchmarks.research.calibration.reference import float_scalars, structure_digest

MODEL = PlainModel(
    {
        "bias": np.array([1, 2], np.int32),
        "max": np.array(4.0, np.float32),
        "weight": np.array([[1, -1]], np.int8),
        "nothing": np.array(np.nan, np.float32),
    },
    {"conv": "Conv ['x', 'weight']"},
)


def changed(**constants: np.ndarray) -> PlainModel:
    return PlainModel({**MODEL.constants, **constants}, MODEL.nodes)


def difference(other: PlainModel) -> ModelDifference:
    assert model_difference(MODEL, other) == model_difference(other, MODEL)
    return model_difference(MODEL, other)


def test_a_model_is_identical_to_itself() -> None:
    assert difference(changed()).identical


def test_what_differs_is_named_and_measured() -> None:
    assert difference(changed(bias=np.array([1, 5], np.int32))).bias_steps == 3
    assert difference(changed(max=np.array(2.0, np.float32))).range_share == 0.5
    assert difference(changed(max=np.array(np.nan, np.float32))).range_share == np.inf
    assert difference(changed(weight=np.array([[1, 1]], np.int8))).other_constants == ("weight",)
    assert difference(changed(bias=np.array([1, 2], np.int8))).structure == ("bias",)
    assert difference(changed(new=np.array(1))).structure == ("new",)
    assert difference(PlainModel(MODEL.constants, {"conv": "Conv []"})).structure == ("conv",)
    assert difference(PlainModel(MODEL.constants, {})).structure == ("conv",)


def test_structure_is_without_numbers() -> None:
    other = changed(max=np.array(5.0, np.float32))
    assert structure_digest(other) == structure_digest(MODEL)
    assert structure_digest(changed(new=np.array(1))) != structure_digest(MODEL)
    assert float_scalars(other)["max"] == 5.0
