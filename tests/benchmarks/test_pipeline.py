"""The user's own pipeline and our evaluation: what works, and what a mistake is told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.config.run_config import (
    CriterionConfig,
    DataConfig,
    RunConfig,
    SessionConfig,
)
from nc_sigopt_benchmarks.datasets import ImageSet
from nc_sigopt_benchmarks.datasets.pipeline import build_pipeline, check_fits
from nc_sigopt_benchmarks.datasets.top_one import TopOneAccuracy
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import session_opener
from nc_sigopt_benchmarks.running.evaluation import recording_evaluation
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from tests.integration.small_onnx import write_small_onnx

LOADER = """
import numpy as np
class Loader:
    batch_size = 4
    def __iter__(self):
        for _ in range(2):
            yield np.zeros((4, 12, 12, 3), np.float32), np.zeros(4)
calib_dataloader = Loader()
def eval_func(model):
    return 1.0
"""


def small(path: Path) -> BenchmarkModel:
    return BenchmarkModel("m", "path", "", path, ("input",), ("logits",))


def config_of(data: DataConfig) -> RunConfig:
    return RunConfig((), path=Path("run.yaml"), data=data)


def pipeline_of(text: str, tmp_path: Path, model: Path) -> Any:
    path = tmp_path / "pipeline.py"
    path.write_text(text)
    pipeline = build_pipeline(config_of(DataConfig(python=path)), small(model))
    check_fits(small(model), pipeline, session_opener(small(model), SessionConfig()))
    return pipeline


def test_a_pipeline_of_ones_own(tmp_path: Path, small_model: Path) -> None:
    pipeline = pipeline_of(LOADER, tmp_path, small_model)
    assert pipeline.batch_size == 4
    assert pipeline.calibration_size is None
    assert pipeline.stored_metrics_func is None


def test_further_metrics_of_ones_own(tmp_path: Path, small_model: Path) -> None:
    text = LOADER + "def stored_metrics_func(model):\n    return {'f1': 0.8}\n"
    metrics = pipeline_of(text, tmp_path, small_model).stored_metrics_func
    assert metrics(None) == {"f1": 0.8}


def test_the_pipeline_of_a_data_source() -> None:
    model = BenchmarkModel("m", "digits", "", Path(), ("input",), ("logits",), image_size=32)
    data = DataConfig(calibration_images=30, evaluation_images=50)
    pipeline = build_pipeline(config_of(data), model)
    assert (pipeline.calibration_size, pipeline.evaluation_size) == (30, 50)
    assert pipeline.batch.shape == (20, 32, 32, 3)
    assert [len(labels) for _, labels in pipeline.calib_dataloader] == [20, 10]


def test_an_onnx_model_that_cannot_take_the_batch(tmp_path: Path) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    model = dataclasses.replace(small(path), framework="onnxruntime", format="onnx")
    (tmp_path / "pipeline.py").write_text(LOADER)
    config = config_of(DataConfig(python=tmp_path / "pipeline.py"))
    with pytest.raises(DataError, match=r"small\.onnx cannot run .* \(4, 12, 12, 3\)"):
        check_fits(model, build_pipeline(config, model), session_opener(model, SessionConfig()))


ONCE = LOADER.replace("calib_dataloader = Loader()", "calib_dataloader = Once()") + (
    "class Once:\n    batch_size = 4\n    def __init__(self): self.all = iter(Loader())\n"
    "    def __iter__(self): return self.all\n"
)
BAD_PIPELINES = {
    "no eval_func": (LOADER.replace("eval_func", "evaluate"), "does not define eval_func"),
    "neither": ("x = 1\n", "does not define calib_dataloader and eval_func"),
    "no function": (LOADER + "eval_func = 3\n", "eval_func in .* is 3, not a function"),
    "no metrics": (LOADER + "stored_metrics_func = 3\n", "stored_metrics_func in .* is 3, not a"),
    "no batch size": (LOADER.replace("batch_size", "size"), "without __iter__ or batch_size"),
    "no batches": (LOADER.replace("range(2)", "range(0)"), "yields nothing"),
    "no pairs": (LOADER.replace(", np.zeros(4)", ""), "yields a ndarray, not a pair"),
    "wrong shape": (LOADER.replace("12, 12, 3", "12, 12, 1"), r"of shape \(4, 12, 12, 1\)"),
    "raises": ("raise KeyError('k')\n", "failed while it was imported: KeyError: 'k'"),
    "read only once": (
        ONCE.replace("calib_dataloader = Once()\n", "") + "calib_dataloader = Once()\n",
        "iterated only once, but each trial calibrates",
    ),
}


@pytest.mark.parametrize("name", BAD_PIPELINES)
def test_a_mistake_in_a_pipeline(name: str, tmp_path: Path, small_model: Path) -> None:
    text, says = BAD_PIPELINES[name]
    with pytest.raises(DataError, match=says):
        pipeline_of(text, tmp_path, small_model)


def test_a_missing_pipeline_file(tmp_path: Path, small_model: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.py does not exist"):
        build_pipeline(config_of(DataConfig(python=tmp_path / "nowhere.py")), small(small_model))


# --- evaluation ---


def test_top_one_is_the_share_of_right_images(
    small_model: Path, small_data: Any, small_labels: Any
) -> None:
    import tensorflow as tf

    from nc_sigopt_strategy.backends.tensorflow import read_graph_def

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(read_graph_def(small_model), name="")
    labels = small_labels.copy()
    labels[:16] += 1  # a quarter of the 64 is wrong now
    evaluate = TopOneAccuracy(ImageSet(small_data[0], labels), "input", "logits", 10)
    assert evaluate(graph) == 0.75


def test_top_one_of_what_only_its_runtime_can_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = write_small_onnx(tmp_path / "small.onnx")
    images = np.random.default_rng(0).normal(size=(20, 3, 12, 12)).astype(np.float32)
    found = predictor(str(path))(images)[0].argmax(axis=1)
    labels = np.where(np.arange(20) < 15, found, found + 1)
    # A path is what an evaluation gets of a model that is too large for one protobuf.
    assert TopOneAccuracy(ImageSet(images, labels), "input", "logits", 8)(str(path)) == 0.75


def test_neural_compressor_accepts_our_evaluation(tmp_path: Path) -> None:
    utility = pytest.importorskip("neural_compressor.utils.utility")
    if not hasattr(utility, "secure_check_eval_func"):
        pytest.skip("this version of Neural Compressor does not check eval_func")
    evaluate = recording_evaluation(len, tmp_path, CriterionConfig(), keep_models=False)
    assert utility.secure_check_eval_func(evaluate) in (evaluate, None)


def test_every_evaluation_is_a_line_at_once(tmp_path: Path) -> None:
    answers = iter([0.9, 0.895, 0.5, float("nan"), "0.9x"])
    evaluate = recording_evaluation(
        lambda model: next(answers), tmp_path, CriterionConfig(), keep_models=True
    )
    for count in range(1, 6):
        evaluate(object())
        assert len(read_events(tmp_path)) == count
    events = read_events(tmp_path)
    assert [event["trial"] for event in events] == [0, 1, 2, 3, 4]
    assert [event["meets_bound"] for event in events] == [None, True, False, None, None]
    assert events[3]["accuracy"] is None


def test_a_half_written_event_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(json.dumps({"trial": 0}) + '\n{"trial": 1, "acc')
    assert read_events(tmp_path) == [{"trial": 0}]


def test_a_swallowed_interrupt_is_raised_at_the_next_evaluation(tmp_path: Path) -> None:
    watch = InterruptWatch(timeout_seconds=0)
    evaluate = recording_evaluation(
        lambda model: 0.9,
        tmp_path,
        CriterionConfig(),
        keep_models=False,
        check_interrupt=watch.check,
    )
    with watch:
        evaluate(object())
        with contextlib.suppress(BaseException):  # as some of INC's code does
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            evaluate(object())
    assert watch.by_person
    assert len(read_events(tmp_path)) == 1


def test_an_interrupt_after_the_budget_is_the_timeouts() -> None:
    watch = InterruptWatch(timeout_seconds=1e-9)
    with watch, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert watch.fired
    assert not watch.by_person
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
