"""The reference file of ``make reference``: stock INC's models on 100 images.

Stock needs the better part of an hour for them. Here its numbers are read from the file, and ours
are made from the same images.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    FRAMEWORKS,
    MODELS,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.research.calibration.model_difference import ModelDifference, plain_model
from nc_sigopt_benchmarks.research.calibration.reference import float_scalars, structure_digest
from nc_sigopt_benchmarks.running.quantizer import Quantizer
from nc_sigopt_strategy.hosts.inc.calibration import CalibratedOnce
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage

pytestmark = pytest.mark.integration

REFERENCE = Path(__file__).parents[1] / "reference" / "calibration.json"
# The same float32 model computes slightly other values on another CPU or another TensorFlow.
ELSEWHERE = 0.02
# With the same instructions and versions only the blocking of sums may differ, by cache and cores.
HERE = 1e-3
# What the numbers of a model depend on.
_HOST = ("cpu_flags", "environment")


@pytest.fixture(scope="module")
def reference() -> Any:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def case_of(reference: Any, model: str, framework: str) -> Any:
    (case,) = (c for c in reference["cases"] if (c["model"], c["framework"]) == (model, framework))
    return case


def can_be_said(assignments: dict[str, str], quantizer: Quantizer) -> bool:
    """Whether today's parameters have the labels of a configuration in the file.

    Where the CPU has no bf16, ops have no such label; and the file gives labels of their own to
    ops that are one parameter with another since it was made.
    """

    def given(op: str) -> set[str]:
        # Parameters go without what all names begin with.
        return {label for name, label in assignments.items() if f"/{op}".endswith(f"/{name}")}

    together = [set[str]().union(*map(given, op.names)) for op in quantizer.ops]
    offered = all(assignments[p.name] in p.values for p in quantizer.space.parameters if p.ops)
    return offered and all(len(labels) == 1 for labels in together)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("model", MODELS)
def test_ours_were_stock_s_models(reference: Any, model: str, framework: str) -> None:
    case = case_of(reference, model, framework)
    assert case["images"] == 100
    assert case["left_to_inc"] == {}
    assert len({str(c["assignments"]) for c in case["configurations"]}) > 10
    for configuration in case["configurations"]:
        found = configuration["difference"]
        found = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
        assert ModelDifference(**found).identical


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_ours_of_today_have_stock_s_numbers(
    reference: Any, framework: str, tmp_path: Path, assets: str
) -> None:
    case = case_of(reference, "mobilenet_v1", framework)
    facts = host_facts()
    same_versions = facts["versions"] == case["host"]["versions"]
    same_host = same_versions and all(facts[key] == case["host"][key] for key in _HOST)
    model = calibration_case("mobilenet_v1", framework, tmp_path)
    quantizer = model.quantizer(calibration_images(case["images"]), 20, tmp_path)
    possible = [
        configuration
        for configuration in case["configurations"]
        if can_be_said(configuration["assignments"], quantizer)
    ]
    assert possible
    names = [parameter.name for parameter in quantizer.space.parameters if parameter.ops]
    usage = CalibrationUsage()
    with CalibratedOnce(quantizer.framework, usage):
        for expected in possible:
            said = {name: expected["assignments"][name] for name in names}
            ours = plain_model(quantizer.quantize(said))
            if same_host:
                assert structure_digest(ours) == expected["structure"]
            ranges = float_scalars(ours)
            shared = [name for name in expected["ranges"] if name in ranges]
            assert len(shared) > 0.8 * len(expected["ranges"]) > 0
            np.testing.assert_allclose(
                [ranges[name] for name in shared],
                [expected["ranges"][name] for name in shared],
                rtol=HERE if same_host else ELSEWHERE,
                atol=HERE if same_host else ELSEWHERE,
            )
    assert usage.stock == {}
