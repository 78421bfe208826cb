"""What users give: models in every form, and what speaks against one, in one sentence each."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nncf
import numpy as np
import openvino as ov
import pytest

from nc_sigopt_strategy.errors import (
    DataError,
    MissingExtraError,
    ModelError,
    SettingsError,
    UnsupportedVersionError,
)
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.openvino import versions
from nc_sigopt_strategy.hosts.openvino.openvino_host import OpenVinoHost
from nc_sigopt_strategy.hosts.package_versions import check_version
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.openvino.small_models import SIZE, Batches, Net, chain, images, sequences


def host(model: Any, data: Any = None, **properties: Any) -> OpenVinoHost:
    given = Given(
        model,
        images() if data is None else data,
        lambda compiled: 0.9,
        Criterion(0.5),
        sampling_sizes=(8,),
    )
    return OpenVinoHost(given, Settings(openvino_properties=properties or None))


def quantized_outputs(made: OpenVinoHost) -> list[Any]:
    """What the all-int8 model gives on the first batch."""
    with made.session(lambda what: None):
        made.check()
        model = made.quantize(Choices({op.key: op.default for op in made.ops()}, 8))
    session = made.backend.open(model)
    try:
        return session.run(made.calibration_data().batches[0])
    finally:
        session.close()


def onnx_model(batch: int | str = "N", *, half: bool = False) -> Any:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT
    draw = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        values = draw.normal(size=shape).astype(np.float16 if half else np.float32)
        return onnx.numpy_helper.from_array(values, name)

    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="c1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="r1"),
        helper.make_node("Conv", ["r1", "w2", "b1"], ["c2"], name="c2", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c2"], ["g"], name="g"),
        helper.make_node("Flatten", ["g"], ["f"], name="f"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], name="gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", kind, [batch, 10])],
        [
            weights("w1", 8, 3, 3, 3),
            weights("b1", 8),
            weights("w2", 8, 8, 3, 3),
            weights("w3", 8, 10),
            weights("b3", 10),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_onnx_from_a_file_in_memory_and_with_weights_beside_it_is_one_model(
    tmp_path: Path,
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx_model()
    onnx.save(model, tmp_path / "one.onnx")
    onnx.save_model(
        onnx_model(),
        str(tmp_path / "two.onnx"),
        save_as_external_data=True,
        location="two.data",
        size_threshold=0,
    )
    # As Hugging Face's cache keeps a model: links that leave its folder.
    (tmp_path / "cache").mkdir()
    for name in ("two.onnx", "two.data"):
        (tmp_path / "cache" / name).symlink_to(tmp_path / name)
    paths = (tmp_path / "one.onnx", str(tmp_path / "two.onnx"), tmp_path / "cache" / "two.onnx")
    made = [host(given) for given in (*paths, model, model.SerializeToString())]
    assert not any(one.notes for one in made)
    assert len({one.fingerprint for one in made}) == 1
    assert [op.key[1] for op in made[0].ops()] == ["Convolution", "Convolution", "MatMul"]
    assert quantized_outputs(made[1])[0].shape == (4, 10)
    bare = onnx.load(tmp_path / "two.onnx", load_external_data=False)
    with pytest.raises(ModelError, match=r"without its weights.*two\.data"):
        host(bare)


def test_ir_with_weights_in_half_precision_is_widened(tmp_path: Path) -> None:
    ov.save_model(chain(), str(tmp_path / "half.xml"))
    made = host(tmp_path / "half.xml")
    kinds = {n.get_element_type() for n in made.fp32.model.get_ops() if n.get_output_size()}
    assert ov.Type.f16 not in kinds
    whole = host(chain())
    assert [op.labels for op in made.ops()] == [op.labels for op in whole.ops()]
    assert np.isfinite(quantized_outputs(made)[0]).all()


@pytest.mark.integration
def test_frozen_graphs_and_saved_models_are_read(
    small_model: Path, small_loader: Any, tmp_path: Path
) -> None:
    tensorflow = pytest.importorskip("tensorflow")
    made = host(small_model, small_loader)
    assert made.ops()
    assert all(np.isfinite(array).all() for array in quantized_outputs(made))
    net = tensorflow.keras.Sequential(
        [
            tensorflow.keras.layers.Input((8, 8, 3)),
            tensorflow.keras.layers.Conv2D(4, 3),
            tensorflow.keras.layers.Flatten(),
            tensorflow.keras.layers.Dense(3),
        ]
    )
    net.export(str(tmp_path / "saved"))
    draw = np.random.default_rng(0).normal(size=(2, 4, 8, 8, 3)).astype(np.float32)
    assert quantized_outputs(host(tmp_path / "saved", Batches(list(draw))))[0].shape == (4, 3)


def test_torch_modules_are_traced() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten())
    assert quantized_outputs(host(net))


def test_names_that_openvino_counts_up_are_the_same_in_every_process() -> None:
    net = Net()
    given = net.input(-1, 3, SIZE, SIZE)
    made = given
    for _ in range(2):
        channels = made.get_output_partial_shape(0)[1].get_length()
        weights = net.weights(8, channels, 3, 3)
        made = net.op.convolution(made, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    named = net.op.relu(made, name="named")
    assert [op.name for op in host(net.model(named, given)).ops()] == [
        "Convolution_0",
        "Convolution_1",
    ]


def test_shapes_that_are_not_known_are_no_obstacle() -> None:
    net = Net()
    given = net.input(-1, 3, -1, -1)
    made = host(net.model(net.conv(net.conv(given, 8, "a"), 8, "b"), given))
    assert quantized_outputs(made)[0].shape == (4, 8, SIZE, SIZE)
    assert made.op_graph([op.key for op in made.ops()])["ops"][0]["multiply_adds"] is None


class Items:
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)


def test_batches_in_other_forms_are_fed() -> None:
    arrays = images().arrays
    expected = quantized_outputs(host(chain()))[0]
    for form in (
        Items([({"x": array, "extra": array}, 0) for array in arrays]),
        Items([(array.tolist(), 0) for array in arrays]),
        Items([([array], 0) for array in arrays]),
    ):
        np.testing.assert_allclose(quantized_outputs(host(chain(), form))[0], expected, rtol=1e-3)


def test_several_inputs_and_outputs_whose_shape_depends_on_values() -> None:
    net = Net()
    given, other = net.input(-1, 3, SIZE, SIZE), net.input(-1, 8, SIZE, SIZE, name="z")
    made = net.conv(net.op.add(net.conv(given, 8, "a"), other), 8, "b")
    model = net.model([net.op.non_zero(made), made], [given, other])
    z = np.ones((4, 8, SIZE, SIZE), np.float32)
    data = Items([({"z": z, "x": array}, 0) for array in images().arrays])
    places, values = quantized_outputs(host(model, data))
    assert places.shape[1] == np.count_nonzero(values)


def no_ops() -> Any:
    net = Net()
    given = net.input(-1, 3, SIZE, SIZE)
    return net.model(net.op.relu(given), given)


def quantized_already() -> Any:
    return nncf.quantize(chain(), nncf.Dataset(images().arrays), subset_size=2)


def integer_weights(*, of_the_input: bool = False) -> Any:
    """A product whose weights are kept as int8, or an image less a mean that is kept so."""
    op = ov.opset13
    given = op.parameter([-1, 4], np.float32, name="x")
    kept = op.convert(op.constant(np.arange(8, dtype=np.int8).reshape(2, 4)), np.float32)
    product = op.multiply(kept, op.constant(np.float32(0.1)))
    if of_the_input:
        mean = op.convert(op.constant(np.int8([1, 2, 3, 4])), np.float32)
        given_less, product = op.subtract(given, mean), op.constant(np.ones((2, 4), np.float32))
    else:
        given_less = given
    return ov.Model([op.matmul(given_less, product, False, True)], [given])


def custom_op() -> Any:
    model = onnx_model()
    model.graph.node[1].op_type, model.graph.node[1].domain = "Mystery", "my.ops"
    model.opset_import.add(domain="my.ops", version=1)
    return model


def half_ir() -> Any:
    return ov.Core().read_model(onnx_model(half=True).SerializeToString())


def with_local_functions() -> Any:
    """Its activations are calls of a function of its own."""
    helper = pytest.importorskip("onnx.helper")
    model = onnx_model()
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("my.ops", "Active", ["a"], ["b"], body, opset)
    model.functions.append(function)
    model.opset_import.add(domain="my.ops", version=1)
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Active", "my.ops"
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: onnx_model(half=True), "is in float16: a copy in float32 is tuned"),
        (with_local_functions, "has local functions, which OpenVINO does not read"),
    ],
    ids=["half", "functions"],
)
def test_onnx_that_openvino_does_not_take_as_it_is(make: Any, said: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnx.save(make(), tmp_path / "net.onnx")
    plain = [op.key[1] for op in host(onnx_model()).ops()]
    for given in (make(), tmp_path / "net.onnx"):
        made = host(given)
        (note,) = made.notes
        assert said in note
        assert [op.key[1] for op in made.ops()] == plain
        assert made.ops()[0].labels == host(onnx_model()).ops()[0].labels


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (quantized_already, "quantized already: it has 5 FakeQuantize ops"),
        (integer_weights, r"quantized already: the weights of 1 of its ops are kept as i8"),
        (half_ir, "computes in f16"),
        (custom_op, r"cannot read .*my\.ops\.Mystery"),
        (no_ops, "no op that NNCF quantizes; its ops are of the types Parameter, Relu, Result"),
        (lambda: "none.onnx", "no model none.onnx"),
        (lambda: 3, "A int is no model"),
        (lambda: b"nonsense", "is not an ONNX model"),
    ],
    ids=["quantized", "integers", "half", "custom", "no-ops", "missing", "no-model", "no-bytes"],
)
def test_what_cannot_be_tuned_is_said(make: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        host(make()).ops()


def test_integers_that_are_no_weights_are_no_obstacle() -> None:
    made = host(integer_weights(of_the_input=True), Items([(np.ones((2, 4), np.float32), 0)]))
    assert [op.key[1] for op in made.ops()] == ["MatMul"]


def test_a_file_that_is_none_is_said(tmp_path: Path) -> None:
    for name in ("broken.onnx", "broken.xml"):
        (tmp_path / name).write_bytes(b"<nonsense")
        with pytest.raises(ModelError, match=r"cannot read|is not an ONNX model") as said:
            host(tmp_path / name)
        assert "src/" not in str(said.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Items([]), "empty"),
        (sequences(), "does not fit the model"),
        (Items([({"z": array}, 0) for array in images().arrays]), "no 'x'"),
        (Items([(array * np.nan, 0) for array in images().arrays]), "NaN"),
    ],
    ids=["empty", "shape", "key", "nan"],
)
def test_data_that_do_not_fit_are_said(data: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        host(chain(), data).ops()


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"INFERENCE_NUM_THREAD": 1}, "Did you mean INFERENCE_NUM_THREADS"),
        ({"INFERENCE_NUM_THREADS": "many"}, "refuses: Wrong value"),
        ({"AVAILABLE_DEVICES": "x"}, "can only be read"),
        ({"INFERENCE_PRECISION_HINT": "i8"}, "Supported values: bf16, f16, f32"),
        ({"DEVICE": "GPU"}, "for the CPU only"),
    ],
)
def test_properties_that_openvino_does_not_take_are_said(properties: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        host(chain(), **properties)


@pytest.mark.parametrize(
    ("properties", "labels"),
    [
        ({"INFERENCE_PRECISION_HINT": "f32"}, ("int8", "fp32")),
        ({"EXECUTION_MODE_HINT": "ACCURACY"}, ("int8", "fp32")),
        ({"INFERENCE_PRECISION_HINT": "bf16"}, ("int8", "bf16")),
    ],
)
def test_a_hint_on_precision_fixes_the_float(properties: Any, labels: tuple[str, ...]) -> None:
    assert {op.labels for op in host(chain(), **properties).ops()} == {labels}


def test_a_processor_without_bf16_has_fp32_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from nc_sigopt_strategy.backends import openvino_properties

    monkeypatch.setattr(openvino_properties, "_has_bf16", lambda: False)
    assert {op.labels for op in host(chain()).ops()} == {("int8", "fp32")}


def test_old_versions_and_missing_packages_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    old: Any = SimpleNamespace(__version__="2024.6.0-17404")
    with pytest.raises(UnsupportedVersionError, match=r"openvino is 2024\.6\.0.*2026\.4"):
        check_version("openvino", old, versions.OLDEST["openvino"], versions.EXTRA)
    check_version("nncf", nncf, versions.OLDEST["nncf"], versions.EXTRA)
    monkeypatch.setitem(__import__("sys").modules, "nncf", None)
    with pytest.raises(MissingExtraError, match="nncf"):
        versions.require_openvino()


def test_an_evaluation_that_raises_passes_through() -> None:
    def fails(compiled: Any) -> float:
        raise ValueError("my own fault")

    made = OpenVinoHost(Given(chain(), images(), fails, sampling_sizes=(8,)), Settings())
    with pytest.raises(ValueError, match="my own fault"):
        made.baseline()


def test_fast_bias_correction_stands_in_where_the_full_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quantize = nncf.quantize

    def only_fast(*args: Any, **kwargs: Any) -> Any:
        if not kwargs["fast_bias_correction"]:
            raise RuntimeError("not for this model")
        return quantize(*args, **kwargs)

    monkeypatch.setattr(nncf, "quantize", only_fast)
    made = host(chain())
    choices = Choices({op.key: op.default for op in made.ops()}, 8)
    assert made.quantize(choices)
    assert made.recipe(choices)["nncf"]["fast_bias_correction"] is True
