"""``nc-sigopt compare`` across runtimes for real: two runtimes, processes, a missing one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.small_onnx import write_small_onnx
from tests.integration.test_compare import only_run, results_of, run
from tests.support.pipeline import pipeline

pytestmark = pytest.mark.integration
PIPELINE = pipeline(
    3, 12, 12,
    evaluation="""
def eval_func(model):
    import onnxruntime

    from nc_sigopt_strategy import predictor

    fp32 = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    answers = fp32.run(None, {"input": images})[0].argmax(axis=1)
    return float((predictor(model)(images)[0].argmax(axis=1) == answers).mean())
""",
)  # fmt: skip
CONFIG = """
name: small
model: {{name: small, source: path, path: {model}, format: onnx}}
data: {{python: pipeline.py}}
accuracy_criterion: {{tolerable_loss: 0.5}}
tuning: {{timeout: 60, max_trials: 3, shuffle: false}}
deployment: {{latency_batch_sizes: [8, 1], threads: 1}}
strategies: [{strategies}]
timing: {{rounds: 10}}
"""
_RIVALS = "{name: onnxruntime_fp32}, {name: onnxruntime_static}, {name: openvino_fp32}, "
_ABSENT = "{name: openvino_bf16, environment: nowhere/python}, {name: tensorflow_fp32}, "
_OURS = "{name: sigopt, host: onnxruntime}"


def test_rivals_stand_beside_ours(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = write_small_onnx(tmp_path / "small.onnx")
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("MODEL", repr(str(model))))
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG.format(model=model, strategies=_RIVALS + _ABSENT + _OURS))
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    rows = {row["label"]: row for row in results_of(tmp_path)["runtimes"]}
    assert list(rows) == [
        *("onnxruntime_fp32", "onnxruntime_static", "openvino_fp32"),
        *("openvino_bf16", "tensorflow_fp32", "sigopt"),
    ]
    for label in ("onnxruntime_fp32", "onnxruntime_static", "openvino_fp32", "sigopt"):
        row = rows[label]
        assert row["meets_bound"] is True, (label, row)
        assert [timing["batch_size"] for timing in row["timings"]] == [8, 1], label
        for timing in row["timings"]:
            assert len(timing["wall"]["samples"]) == len(timing["cpu"]["samples"]) == 10
            assert row["version"]
    assert rows["onnxruntime_fp32"]["accuracy"] == rows["openvino_fp32"]["accuracy"] == 1.0
    assert rows["openvino_fp32"]["precision"] == "f32"
    assert rows["sigopt"]["ours"]
    # What is not there has a row that says so; the others run.
    assert "is no Python that starts" in rows["openvino_bf16"]["remarks"][0]
    assert "TensorFlow cannot run" in rows["tensorflow_fp32"]["remarks"][0]
    said = " ".join(out.split())
    assert "speed b8" in said or "b8" in said
    assert "sigopt beside the fastest of ONNX Runtime's own" in said
    assert not (only_run(tmp_path) / "data").exists()

    page = only_run(tmp_path) / "report.html"
    page.unlink()
    code, again, err = run("compare", "--from", str(only_run(tmp_path)), folder=tmp_path)
    assert code == 0, err
    assert "sigopt beside" in " ".join(again.split())
    assert page.is_file()

    code, _, err = run(
        "compare", str(config), "--resume", str(only_run(tmp_path)), folder=tmp_path
    )
    assert code == 0, err
    assert "onnxruntime_static was run before." in err
    assert "sigopt was run before." in err


def test_a_reference_that_is_not_installed_is_told_at_once(tmp_path: Path) -> None:
    model = write_small_onnx(tmp_path / "small.onnx")
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace("MODEL", repr(str(model))))
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG.format(model=model, strategies="{name: tensorflow_fp32}"))
    code, _, err = run("compare", str(config), folder=tmp_path)
    assert code == 2
    assert "speeds are relative to tensorflow_fp32, which cannot run" in err
