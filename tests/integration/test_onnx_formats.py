"""Both forms that INC writes ONNX models in, with session options of the user's choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.errors import ExperimentError
from nc_sigopt_strategy.experiments.opening import join_on
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from tests.conftest import Loader
from tests.integration.fitting import configure, fit, outcome
from tests.integration.small_onnx import write_small_onnx

pytestmark = pytest.mark.integration

onnxruntime = pytest.importorskip("onnxruntime")

OPTIONS = {"intra_op_num_threads": 1, "graph_optimization_level": "extended"}


@pytest.fixture
def images(small_data: Any) -> Any:
    return np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))


def evaluation(path: Path, images: Any) -> Any:
    """Share of the images on which a model agrees with the FP32 one."""
    labels = onnxruntime.InferenceSession(str(path)).run(None, {"input": images})[0].argmax(axis=1)

    def accuracy(model: Any) -> float:
        session = onnxruntime.InferenceSession(model.SerializeToString())
        return float((session.run(None, {"input": images})[0].argmax(axis=1) == labels).mean())

    return accuracy


def onnx_conf(folder: Path, quant_format: str, kwargs: dict[str, Any], **more: Any) -> Any:
    conf = configure(folder, kwargs, loss=0.9, quant_format=quant_format, **more)
    conf.inputs, conf.outputs = [], []
    return conf


@pytest.mark.parametrize(
    ("quant_format", "marks"),
    [("QOperator", {"QLinearConv"}), ("QDQ", {"QuantizeLinear", "DequantizeLinear"})],
)
def test_tunes_in_either_format(
    tmp_path: Path, images: Any, quant_format: str, marks: set[str]
) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    accuracy = evaluation(path, images)
    loader = Loader(images, np.zeros(len(images)))
    kwargs = {"onnxruntime_session_options": OPTIONS, "search_space": "full"}
    model = fit(path, onnx_conf(tmp_path, quant_format, kwargs, max_trials=7), loader, accuracy)
    assert model is not None
    trials = read_trials(tmp_path / "run")
    assert {t.state.value for t in trials} == {"observed"}, [t.failure for t in trials]
    assert all(t.latency_seconds for t in trials)
    assert all(t.output_noise is not None and t.output_noise >= 0 for t in trials)
    int8 = trials[0]
    assert int8.output_noise is not None
    assert 0 < int8.output_noise < 0.1
    best = outcome().best
    assert best is not None
    assert accuracy(model.model) == best.accuracy
    assert outcome().session_options == OPTIONS
    assert read_outcome(tmp_path / "run").session_options == OPTIONS
    calibration = outcome().calibration
    assert calibration is not None
    assert calibration["stock"] == {}
    known = outcome().experiment_id
    assert known is not None
    graph = join_on(open_embedded(), known).read_record().op_graph
    assert graph is not None
    work = {
        p["multiply_adds"]: p["weight_elements"]
        for p in graph["parameters"]
        if p["op_type"] == "conv2d"
    }
    assert work == {12 * 12 * 8 * 27: 8 * 27, 12 * 12 * 4 * 72: 4 * 72}
    assert 12 * 12 * 8 in [edge[2] for edge in graph["edges"]]
    states = json.loads((tmp_path / "run" / "recipe.json").read_text())
    again = configure(tmp_path / "again", None, strategy="basic", loss=0.9, max_trials=1,
                      quant_format=quant_format, op_name_dict=states)  # fmt: skip
    again.inputs, again.outputs = [], []
    rebuilt = fit(path, again, loader, accuracy)
    kinds = {node.op_type for node in model.model.graph.node}
    assert {node.op_type for node in rebuilt.model.graph.node} == kinds
    assert marks & kinds or set(best.assignments.values()) == {"fp32"}


def test_other_session_options_are_another_experiment(tmp_path: Path, images: Any) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    accuracy = evaluation(path, images)
    loader = Loader(images, np.zeros(len(images)))
    kwargs: dict[str, Any] = {"storage": f"sqlite:///{tmp_path / 'store.sqlite3'}"}
    first = {**kwargs, "onnxruntime_session_options": OPTIONS}
    fit(path, onnx_conf(tmp_path, "QOperator", first, max_trials=1), loader, accuracy)
    joined = {**kwargs, "sigopt_experiment_id": outcome().experiment_id}
    for other in ({}, {"onnxruntime_session_options": {"intra_op_num_threads": 2}}):
        conf = onnx_conf(tmp_path, "QOperator", {**joined, **other}, max_trials=2)
        with pytest.raises(ExperimentError, match="onnxruntime_session_options changed"):
            fit(path, conf, loader, accuracy)
    same = {**first, **joined}
    fit(path, onnx_conf(tmp_path, "QOperator", same, max_trials=2), loader, accuracy)
    assert outcome().trials == 2


def test_a_front_of_onnx_models(tmp_path: Path, images: Any) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    accuracy = evaluation(path, images)
    loader = Loader(images, np.zeros(len(images)))
    kwargs = {"goal": "pareto", "latency_repeats": 4}
    model = fit(path, onnx_conf(tmp_path, "QDQ", kwargs, max_trials=4), loader, accuracy)
    front = outcome().front
    assert front
    for member in front:
        assert member.model_path == f"front/trial_{member.number:04d}.onnx"
        saved = onnx.load(str(tmp_path / "run" / member.model_path))
        assert accuracy(saved) == member.accuracy
    best = outcome().best
    assert best is not None
    assert accuracy(model.model) == best.accuracy
