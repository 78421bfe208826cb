"""Data of a real model that a Python package ships, as ``nc-sigopt tune`` wants them.

    cd examples/real_models
    export REAL_MODEL=ocr_recognition
    nc-sigopt tune "$(python tune.py --path)" --data data.py

REAL_MODEL is efficientnet_lite0 (needs NC_SIGOPT_ASSETS), minilm_l6_v2, ocr_detection,
ocr_direction or ocr_recognition. Needs the harness: pip install './benchmarks[models]'.
"""

from __future__ import annotations

import os
from pathlib import Path

from nc_sigopt_benchmarks.config.run_config import DataConfig, ModelConfig, RunConfig
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline
from nc_sigopt_benchmarks.models.find import find_model

NAME = os.environ.get("REAL_MODEL", "ocr_recognition")
# A page takes as long as fifty lines.
CALIBRATION, EVALUATION, BATCH = (16, 24, 1) if NAME == "ocr_detection" else (64, 200, 8)

_config = RunConfig(
    (),
    path=Path(__file__),
    model=ModelConfig(name=NAME, source="package", format="onnx"),
    data=DataConfig(
        calibration_images=CALIBRATION, evaluation_images=EVALUATION, batch_size=BATCH
    ),
)
model = find_model(_config.model)
_pipeline = build_pipeline(_config, model)
calib_dataloader, eval_func = _pipeline.calib_dataloader, _pipeline.eval_func
