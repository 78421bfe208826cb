"""A landscape of the small model, recorded by Neural Compressor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.research.calibration.calibration_cases import CalibrationCase
from nc_sigopt_benchmarks.research.landscapes.bench import Bench
from nc_sigopt_benchmarks.research.landscapes.design import DesignOptions
from nc_sigopt_benchmarks.research.landscapes.landscape_file import LandscapeRow
from nc_sigopt_benchmarks.research.landscapes.record import make_design
from nc_sigopt_benchmarks.research.landscapes.subject import Subject
from tests.conftest import INPUT_NAME, OUTPUT_NAME

pytestmark = pytest.mark.integration


def test_bench_measures_configurations(
    small_model: Path, small_data: tuple[np.ndarray, np.ndarray], small_labels: np.ndarray
) -> None:
    images = small_data[0]
    case = CalibrationCase(
        "small", "tensorflow", "random", small_model, (INPUT_NAME,), (OUTPUT_NAME,)
    )
    subject = Subject(case, images, ImageSet(images, small_labels), 8)
    options = DesignOptions(fallbacks=("fp32",), only_int8=False, mixes=0, segment_mixes=0)
    rows: dict[str, LandscapeRow] = {}
    with Bench(subject, batch_sizes=(1, 8), rounds={1: 8, 8: 8}, noise_images=16, seed=0) as bench:
        assert bench.baseline_accuracy == 1.0
        design = make_design(bench, options)
        graph = bench.quantizer.op_graph()
        assert list(design.names) == [p["name"] for p in graph["parameters"]]
        for origin, labels in [*design][:4]:
            rows[origin] = bench.measure(origin, labels)
        broken = bench.measure("broken", ("int4",) * len(design.names))
        profiles = bench.profile("all fp32", design.uniform("fp32"))
    with Bench(
        subject, batch_sizes=(8,), rounds={8: 2}, noise_images=16, seed=0, with_latency=False
    ) as bench:
        untimed = bench.measure("all int8", design.uniform("int8"))
    assert untimed.failure is None
    assert untimed.latency == {}
    assert untimed.output_noise == rows["all int8"].output_noise
    assert all(row.failure is None for row in rows.values())
    assert rows["all fp32"].output_noise == pytest.approx(0, abs=1e-9)
    assert rows["all fp32"].accuracy == 1.0
    assert (rows["all int8"].output_noise or 0) > 0
    assert set(rows["all int8"].latency) == {1, 8}
    assert broken.failure is not None
    assert broken.failure.startswith("SettingsError")
    assert [profile.batch_size for profile in profiles] == [1, 8]
    for profile in profiles:
        assert len(profile.seconds) == len(design.names)
        assert 0.5 < sum(share or 0.0 for share in profile.shares) <= 1.0 + 1e-9
