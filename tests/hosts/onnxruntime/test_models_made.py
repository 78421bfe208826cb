"""The models that the host makes: the same to the byte, and run as they were chosen."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from nc_sigopt_strategy.backends.onnx_files import digest_of_model
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host import OnnxRuntimeHost
from nc_sigopt_strategy.hosts.onnxruntime.quantizer import Quantizer
from nc_sigopt_strategy.hosts.statistics_store import Section
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.onnxruntime.models import (
    Batches,
    Net,
    image_net,
    images,
    listed_weights,
    mobile_net,
    row_biases,
    sentence_net,
)

ROOT = Path(__file__).parents[3]


def drawn(host: OnnxRuntimeHost, seed: int) -> Choices:
    rng = np.random.default_rng(seed)
    labels = {op.key: str(rng.choice(op.labels)) for op in host.ops()}
    return Choices(labels, host.sampling_sizes()[0])


@pytest.mark.parametrize("make", [image_net, sentence_net], ids=["images", "sentences"])
def test_what_is_remembered_of_weights_changes_no_byte(make: Any) -> None:
    host = OnnxRuntimeHost(make(), Settings(search_space="full"))
    for seed in range(8):
        choices = drawn(host, seed)
        model = host.quantize(choices).model
        # One that remembers nothing of the models before.
        other = Quantizer(host._view, "uint8", remembers=False)
        other.fit(host._quantizer._fitted)
        host._quantizer, remembering = other, host._quantizer
        assert digest_of_model(host.quantize(choices).model) == digest_of_model(model)
        host._quantizer = remembering


@pytest.mark.parametrize(
    ("make", "activation_type"),
    [(image_net, "uint8"), (sentence_net, "uint8"), (sentence_net, "int8")],
)
def test_ops_run_as_chosen_in_any_session(make: Any, activation_type: str) -> None:
    host = OnnxRuntimeHost(make(), Settings(activation_type=activation_type))
    names = [op.name for op in host.ops()]
    for seed in range(8):
        choices = drawn(host, seed)
        ran = host.backend.ran_as(host.quantize(choices), names)
        chosen = {name: label.split("-")[0] for (name, _), label in choices.labels.items()}
        assert {name: chosen[name] for name in ran} == dict(ran)
        assert set(ran) == set(names)


def test_activations_are_of_the_type_that_was_set() -> None:
    for name, kind in (("uint8", onnx.TensorProto.UINT8), ("int8", onnx.TensorProto.INT8)):
        host = OnnxRuntimeHost(image_net(), Settings(activation_type=name))
        labels = {op.key: op.default for op in host.ops()}
        model = host.quantize(Choices(labels, host.sampling_sizes()[0])).model
        points = {node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
        kinds = {t.data_type for t in model.graph.initializer if t.name in points}
        assert kinds == {kind}


def test_all_in_float_is_what_was_given() -> None:
    host = OnnxRuntimeHost(image_net(), Settings())
    choices = Choices({op.key: "fp32" for op in host.ops()}, 16)
    data = images()
    outputs = [
        onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": data})[0]
        for model in (host.fp32.model, host.quantize(choices).model)
    ]
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-5)


def test_float_ops_read_what_is_made_in_float_and_not_its_int8() -> None:
    host = OnnxRuntimeHost(image_net(), Settings())
    ops = host.ops()
    # The first block reads the first op's result twice: a convolution in int8, a sum in float.
    labels = {op.key: "int8" if op is ops[1] else "fp32" for op in ops}
    model = host.quantize(Choices(labels, 16)).model
    made = host._view.nodes[ops[3].name].output[0]
    (total,) = (n for n in model.graph.node if n.op_type == "Add" and made in n.input)
    assert not any("Dequantize" in tensor for tensor in total.input)


def test_calibration_is_done_once_and_kept_between_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(search_space="full", calibration_cache=tmp_path / "kept")
    first = OnnxRuntimeHost(image_net(), settings)
    models = [digest_of_model(first.quantize(drawn(first, seed)).model) for seed in range(4)]
    assert first.calibration()["passes"] == 2, "one for ranges, one for the rounding of weights"
    assert first.calibration()["fed"] == 4
    second = OnnxRuntimeHost(image_net(), settings)
    again = [digest_of_model(second.quantize(drawn(second, seed)).model) for seed in range(4)]
    assert again == models
    assert second.calibration()["passes"] == 0


def _without_numbers(arrays: dict[str, Any]) -> None:
    for name in [key for key in arrays if key.startswith("extremes")][:1]:
        arrays[name] = np.array([np.nan, np.nan])


def _upside_down(arrays: dict[str, Any]) -> None:
    for name in [key for key in arrays if key.startswith("extremes")]:
        arrays[name] = arrays[name][::-1]


def _of_another_shape(arrays: dict[str, Any]) -> None:
    for name in [key for key in arrays if key.startswith("rounding")]:
        arrays[name] = np.ones((1, 2), np.int8)


def _as_text(arrays: dict[str, Any]) -> None:
    for name in arrays:
        arrays[name] = np.array(["0", "1"])


def _without_edges(arrays: dict[str, Any]) -> None:
    for name in [key for key in arrays if key.startswith("edges")]:
        del arrays[name]


@pytest.mark.parametrize(
    ("forge", "passes"),
    [
        (_without_numbers, 2),
        (_upside_down, 2),
        (_of_another_shape, 1),
        (_as_text, 2),
        (_without_edges, 2),
    ],
)
def test_statistics_that_somebody_forged_are_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, forge: Any, passes: int
) -> None:
    settings = Settings(search_space="full", calibration_cache=tmp_path / "kept")
    first = OnnxRuntimeHost(image_net(), settings)
    model = digest_of_model(first.quantize(drawn(first, 3)).model)
    (path,) = (tmp_path / "kept").iterdir()
    key = path.name.partition(".")[0]
    kept = Section(key, path)
    with np.load(path) as archive:
        names = [n.removeprefix("array/") for n in archive.files if n.startswith("array/")]
    arrays = {name: kept[name] for name in names}
    forge(arrays)
    path.unlink()
    # With a digest that fits, as whoever can write the folder can make it.
    Section(key, path).add(arrays)
    caplog.clear()
    second = OnnxRuntimeHost(image_net(), settings)
    assert digest_of_model(second.quantize(drawn(second, 3)).model) == model
    (said,) = [r.getMessage() for r in caplog.records if "made again" in r.getMessage()]
    assert str(path) in said
    assert second.calibration()["passes"] == passes
    third = OnnxRuntimeHost(image_net(), settings)
    assert digest_of_model(third.quantize(drawn(third, 3)).model) == model
    assert third.calibration()["passes"] == 0


def test_rounding_to_data_is_nearer_to_float_than_rounding_to_the_nearest() -> None:
    net = Net()
    x = net.node("Relu", [net.conv("images", 3, 32, 3)])
    x = net.node("Relu", [net.conv(x, 32, 32, 3)])
    x = net.node("MatMul", [net.node("Flatten", [x]), net.drawn(32 * 144, 4)])
    model, data = net.model({"images": ("N", 3, 12, 12)}, [x]), images()
    host = OnnxRuntimeHost(image_net(model), Settings())
    (expected,) = host.backend.open(host.fp32).run(data)
    errors = {}
    for label in ("int8", "int8-nearest"):
        # The last product is left in float: its weights see no more inputs than there are images.
        labels = {op.key: label if op.key[1] == "Conv" else "fp32" for op in host.ops()}
        made = host.quantize(Choices(labels, 16))
        (found,) = host.backend.open(made).run(data)
        errors[label] = float(np.mean((found - expected) ** 2))
    assert errors["int8"] < 0.8 * errors["int8-nearest"]


def test_a_tensor_without_values_leaves_its_op_in_float() -> None:
    net = Net()
    x = net.node("Relu", [net.conv("images", 3, 8, 3)])
    # Nothing is left of it, whatever comes in.
    ends = [net.constant(np.int64([0])) for _ in range(2)]
    empty = net.node("Slice", [x, *ends, net.constant(np.int64([0]))])
    y = net.conv(empty, 8, 4, name="empty")
    model = net.model({"images": ("N", 3, 12, 12)}, [net.conv(x, 8, 4), y])
    data = images()
    what = Given(model, Batches(data), lambda model: 1.0, Criterion(0.5), sampling_sizes=(16,))
    host = OnnxRuntimeHost(what, Settings())
    choices = Choices({op.key: op.default for op in host.ops()}, 16)
    made = host.quantize(choices)
    ran = host.backend.ran_as(made, [op.name for op in host.ops()])
    assert sorted(ran.values()) == ["fp32", "int8", "int8"]


@pytest.mark.parametrize(
    "make", [mobile_net, listed_weights, row_biases], ids=lambda make: make.__name__
)
def test_the_script_of_onnx_runtime_alone_rebuilds_a_saved_recipe(
    tmp_path: Path, make: Callable[[], Any]
) -> None:
    host = OnnxRuntimeHost(image_net(make()), Settings(search_space="full"))
    choices = drawn(host, 3)
    given, recipe, target = (tmp_path / name for name in ("m.onnx", "recipe.json", "again.onnx"))
    onnx.save(host.fp32.model, str(given))
    recipe.write_text(json.dumps(host.recipe(choices)), encoding="utf-8")
    script = str(ROOT / "examples" / "recipes" / "rebuild_onnxruntime.py")
    done = subprocess.run(
        [sys.executable, script, str(given), str(recipe), str(target)],
        capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = host.backend.save(host.quantize(choices), tmp_path / "made.onnx")
    assert target.read_bytes() == made.read_bytes()


def test_the_host_imports_nothing_of_neural_compressor() -> None:
    code = (
        "import sys, nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host\n"
        "print('neural_compressor' in sys.modules, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_quantizer_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    host = OnnxRuntimeHost(sentence_net(), Settings())
    with caplog.at_level(logging.WARNING):
        host.quantize(drawn(host, 0))
    assert not caplog.records
