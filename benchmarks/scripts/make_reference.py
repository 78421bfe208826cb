"""Write the reference file: stock Neural Compressor's models on 100 images, and ours beside them.

    python benchmarks/scripts/make_reference.py [tensorflow | onnxruntime]

Takes half an hour and NC_SIGOPT_ASSETS. Tests read the file and hold our statistics
of the same images against stock's numbers, without running stock again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_benchmarks.machine.facts import host_facts
from nc_sigopt_benchmarks.models.digits import cache_folder
from nc_sigopt_benchmarks.models.find import ASSETS_VARIABLE
from nc_sigopt_benchmarks.research.calibration.calibration_cases import (
    FRAMEWORKS,
    MODELS,
    CalibrationCase,
    calibration_case,
    calibration_images,
)
from nc_sigopt_benchmarks.research.calibration.reference import compare_with_stock
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage

FILE = Path(__file__).parents[2] / "tests" / "reference" / "calibration.json"
FORMAT = 2
IMAGES, BATCH_SIZE = 100, 20
CONFIGURATIONS = 10
# Stock prints every value of these ops as text: on 100 images half a minute for a large one.
KL_OPS = 2


def main(frameworks: Sequence[str]) -> None:
    """Compare every case of these frameworks and put them into the file, one by one."""
    for framework in frameworks:
        for model in MODELS:
            print(f"{model}, {framework}:", flush=True)
            case = _compared(calibration_case(model, framework, cache_folder()))
            others = [c for c in _cases_so_far() if _name(c) != _name(case)]
            record = {"format": FORMAT, "cases": sorted([*others, case], key=_name)}
            write_whole(FILE, json.dumps(record, indent=1) + "\n")


def _cases_so_far() -> list[dict[str, Any]]:
    if not FILE.exists():
        return []
    record = json.loads(FILE.read_text(encoding="utf-8"))
    return list(record["cases"]) if record["format"] == FORMAT else []


def _name(case: dict[str, Any]) -> tuple[str, str]:
    return case["model"], case["framework"]


def _compared(case: CalibrationCase) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    usage = CalibrationUsage()
    compared = []
    with tempfile.TemporaryDirectory() as workspace:
        quantizer = case.quantizer(calibration_images(IMAGES), BATCH_SIZE, Path(workspace))
        configurations = [
            quantizer.space.default,
            *(quantizer.random(rng, kl_ops=KL_OPS) for _ in range(CONFIGURATIONS)),
        ]
        for result in compare_with_stock(quantizer, configurations, usage):
            compared.append(dataclasses.asdict(result))
            same = "identical" if result.difference.identical else str(result.difference)
            print(f"  {len(compared)} of {len(configurations)}: {same}", flush=True)
    return {
        "model": case.model,
        "framework": case.framework,
        "weights": case.weights,
        "images": IMAGES,
        "host": host_facts(),
        "left_to_inc": dict(usage.stock),
        "configurations": compared,
    }


if __name__ == "__main__":
    if not os.environ.get(ASSETS_VARIABLE):
        sys.exit(f"{ASSETS_VARIABLE} must name the folder with ImageNet weights and images.")
    main(sys.argv[1:] or FRAMEWORKS)
