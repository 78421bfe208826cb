"""What ``IncHost`` makes of the ops that INC lists of an ONNX model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.hosts.inc.inc_host import IncHost
from nc_sigopt_strategy.space.ops import Choices
from tests.conftest import Loader
from tests.hosts.test_inc_contract import host_of
from tests.integration.fitting import configure
from tests.integration.small_onnx import write_small_onnx

onnx = pytest.importorskip("onnx")

pytestmark = pytest.mark.integration


@pytest.fixture
def loader(small_data: Any) -> Any:
    images = np.ascontiguousarray(small_data[0].transpose(0, 3, 1, 2))
    return Loader(images, np.zeros(len(images), np.int64))


def host(model: Path, folder: Path, loader: Any) -> IncHost:
    conf = configure(folder, strategy="basic", loss=0.99, quant_level=1)
    conf.inputs = conf.outputs = []
    return host_of(model, conf, loader, lambda model: 1.0)


def default(of: IncHost) -> Choices:
    return Choices({op.key: op.default for op in of.ops()}, of.sampling_sizes()[0])


def test_a_convolution_and_its_activation_are_one_op(tmp_path: Path, loader: Any) -> None:
    found = host(write_small_onnx(tmp_path / "small.onnx"), tmp_path, loader)
    names = {op.name: op.names[1:] for op in found.ops()}
    assert names["conv0"] == ("relu0",)
    assert names["conv1"] == ("relu1",)
    in_fp32 = dict.fromkeys(default(found).labels, "fp32")
    recipe = found.recipe(Choices(in_fp32, 32))
    assert recipe["relu0"]["activation"]["dtype"] == ["fp32"]
    graph = found.op_graph([op.key for op in found.ops()])
    assert ["conv0", "conv1"] in [edge[:2] for edge in graph["edges"]]


def test_ops_on_shapes_are_no_ops(tmp_path: Path, loader: Any) -> None:
    path = write_small_onnx(tmp_path / "small.onnx", side="side")
    model = onnx.load(str(path))
    make, (flatten,) = onnx.helper.make_node, [n for n in model.graph.node if n.name == "flatten"]
    model.graph.node.remove(flatten)
    for name, value in (("first", [0]), ("second", [1]), ("rest", [-1])):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(value), name))
    model.graph.node.extend(
        [
            make("Shape", ["pooled"], ["extents"], "extents"),
            make("Slice", ["extents", "first", "second"], ["count"], "count"),
            make("Concat", ["count", "rest"], ["wanted"], "wanted", axis=0),
            make("Reshape", ["pooled", "wanted"], ["logits"], "reshape"),
        ]
    )
    onnx.save(model, str(path))
    names = {name for op in host(path, tmp_path, loader).ops() for name in op.names}
    assert names >= {"conv0", "pool", "reshape"}
    assert not names & {"count", "wanted"}


def test_a_channel_without_weights_brings_no_warning(tmp_path: Path, loader: Any) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name == "w0":
            weights = onnx.numpy_helper.to_array(tensor).copy()
            weights[3] *= 1e-12
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "w0"))
    onnx.save(model, str(path))
    found = host(path, tmp_path, loader)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with found.session(lambda doing: None):
            assert found.quantize(default(found)) is not None
