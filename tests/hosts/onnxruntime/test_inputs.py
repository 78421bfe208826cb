"""Models and data as people bring them: tuned, or refused in one sentence and at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from nc_sigopt_strategy.errors import DataError, ModelError, SettingsError
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.onnxruntime.onnxruntime_host import OnnxRuntimeHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.onnxruntime.models import (
    FLOAT,
    Batches,
    Net,
    agreement,
    given,
    image_net,
    images,
    listed_weights,
    mobile_net,
    old_opset,
)

INT64 = onnx.TensorProto.INT64


def host_of(what: Given, **settings: Any) -> OnnxRuntimeHost:
    return OnnxRuntimeHost(what, Settings(**settings))


def default_model(host: OnnxRuntimeHost) -> Any:
    """What a first trial makes, checked before; it is evaluated and says how it ran."""
    choices = Choices({op.key: op.labels[0] for op in host.ops()}, host.sampling_sizes()[0])
    with host.session(lambda what: None):
        host.check()
        host.baseline()
        model = host.quantize(choices)
        assert host.evaluate(model).accuracy > 0.9
    ran = host.backend.ran_as(model, [op.name for op in host.ops()])
    assert set(ran.values()) == {"int8"}
    return model.model


def two_inputs() -> tuple[Any, list[Any]]:
    """An image, ids of any length, names with odd characters, three outputs."""
    net = Net()
    x = net.node("Relu", [net.conv("image:0", 3, 8, 3)], "relu;0")
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    e = net.node(
        "ReduceMean", [net.node("Gather", [net.drawn(50, 6), "ids"])], axes=[1], keepdims=0
    )
    both = net.node("Concat", [x, e], axis=1)
    logits = net.linear(both, 14, 5)
    boxes = net.node("MatMul", [both, net.drawn(14, 4)], "日本語/" + "x" * 240)
    label = net.node("ArgMax", [logits], axis=1, keepdims=0)
    model = net.model(
        {"image:0": ("N", 3, "h", "w"), "ids": ("N", "s")}, [logits, boxes, label],
        kinds={"ids": INT64},
    )  # fmt: skip
    rng = np.random.default_rng(0)
    batches = [
        (images(4, 10 + i)[:, :, :, :10], rng.integers(0, 50, (4, 7 - i))) for i in range(4)
    ]
    return model, batches


def branches() -> Any:
    """An If whose branches read weights and values of the graph around it."""
    net = Net()
    hidden = net.node("Relu", [net.node("MatMul", ["x", net.constant(matrix(8, 8), "w")])])
    then = helper.make_graph(
        [helper.make_node("MatMul", [hidden, "w"], ["t"], "then")], "then", [],
        [helper.make_tensor_value_info("t", FLOAT, ["N", 8])],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Relu", [hidden], ["e"], "else")], "else", [],
        [helper.make_tensor_value_info("e", FLOAT, ["N", 8])],
    )  # fmt: skip
    z = net.node("If", ["flag"], then_branch=then, else_branch=other)
    y = net.node("MatMul", [z, net.constant(matrix(8, 8), "w2")])
    return net.model({"x": ("N", 8), "flag": ()}, [y], kinds={"flag": onnx.TensorProto.BOOL})


def shared() -> Any:
    """One weight read by a Gather and a Gemm, another by two products."""
    net = Net()
    tied, twice = net.constant(matrix(20, 8), "tied"), net.constant(matrix(8, 8), "twice")
    x = net.node("Gather", [tied, "ids"])
    x = net.node("MatMul", [net.node("MatMul", [x, twice], "first"), twice], "second")
    return net.model(
        {"ids": ("N",)}, [net.node("Gemm", [x, tied], "head", transB=1)], kinds={"ids": INT64}
    )


def recurrent() -> Any:
    net = Net()
    # 16 divides them: with other sizes ONNX Runtime 1.22 multiplies int8 wrongly on CPUs with AMX.
    width, words = 8, 32
    x = net.node("Gather", [net.drawn(words, width), "ids"])
    x = net.node("Transpose", [x], perm=[1, 0, 2])
    weights = [net.drawn(1, 4 * width, width) for _ in range(2)]
    x = net.node("LSTM", [x, *weights, net.drawn(1, 8 * width)], hidden_size=width)
    x = net.node("Squeeze", [x, net.constant(np.array([1], np.int64))])
    x = net.node("MatMul", [x, net.drawn(width, words)])
    return net.model({"ids": ("N", "s")}, [x], kinds={"ids": INT64})


def suppressed() -> Any:
    """Boxes that are left after suppression: how many depends on the data."""
    net = Net()
    x = net.node("Relu", [net.conv("images", 3, 8, 3)])
    row = net.constant(np.array([0, 0, 144], np.int64))
    boxes = net.node("Reshape", [net.conv(x, 8, 4), row])
    boxes = net.node("Transpose", [boxes], perm=[0, 2, 1])
    scores = net.node("Reshape", [net.node("Sigmoid", [net.conv(x, 8, 1)]), row])
    limits = [net.constant(np.int64([5])), net.constant(np.float32([0.5]))]
    chosen = net.node(
        "NonMaxSuppression", [boxes, scores, *limits, net.constant(np.float32([0.5]))]
    )
    return net.model({"images": ("N", 3, 12, 12)}, [scores, chosen], opset=13)


def matrix(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows + columns).normal(size=(rows, columns)).astype(np.float32)


def test_names_shapes_and_several_inputs() -> None:
    model, batches = two_inputs()
    feeds = [{"image:0": image, "ids": ids} for image, ids in batches]
    default_model(host_of(given(model, [(batch, None) for batch in batches], feeds)))


@pytest.mark.parametrize("make", [shared, recurrent], ids=lambda make: make.__name__)
def test_models_of_ids(make: Callable[[], Any]) -> None:
    rng = np.random.default_rng(0)
    one_axis = make is shared
    ids = [rng.integers(0, 20, (8,) if one_axis else (4, 5 + i)) for i in range(4)]
    default_model(host_of(given(make(), [(b, None) for b in ids], [{"ids": b} for b in ids])))


def test_a_shared_weight_is_one_parameter_and_stays_whole_for_others() -> None:
    ids = np.arange(16)
    host = host_of(given(shared(), [(ids, None)], [{"ids": ids}]))
    assert [op.name for op in host.ops()] == ["first", "head"]
    model = default_model(host)
    (gather,) = (node for node in model.graph.node if node.op_type == "Gather")
    table = next(t for t in model.graph.initializer if t.name == gather.input[0])
    assert table.data_type == FLOAT


def test_branches() -> None:
    batches = [(matrix(4, 8), np.array(flag)) for flag in (True, False)]
    feeds = [{"x": x, "flag": flag} for x, flag in batches]
    default_model(host_of(given(branches(), [(batch, None) for batch in batches], feeds)))


@pytest.mark.parametrize("opset", [8, 11, 12, 13])
def test_old_opsets_have_scales_per_channel(opset: int) -> None:
    model = default_model(host_of(image_net(old_opset(opset))))
    scales = {t.name: list(t.dims) for t in model.graph.initializer}
    assert [8] in scales.values()


def test_weights_that_an_old_model_lists_as_inputs() -> None:
    """As every model has them until IR 3, where its opset is converted."""
    default_model(host_of(image_net(listed_weights())))


def test_outputs_whose_shape_follows_the_data() -> None:
    data = images()
    default_model(host_of(given(suppressed(), Batches(data), [{"images": data}])))


def test_weights_beside_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "modèle dir"
    folder.mkdir()
    data, model = images(), mobile_net()
    onnx.save(
        model, str(folder / "m.onnx"), save_as_external_data=True, location="w", size_threshold=0
    )
    evaluate = agreement(mobile_net(), [{"images": data}])
    for what in (str(folder / "m.onnx"), folder / "m.onnx"):
        default_model(host_of(Given(what, Batches(data), evaluate, Criterion(0.5))))
    without = onnx.load(str(folder / "m.onnx"), load_external_data=False)
    with pytest.raises(ModelError, match="without its weights"):
        host_of(Given(without, Batches(data), evaluate))


def test_half_precision_is_tuned_as_float32() -> None:
    net = Net()
    x = net.node("Cast", ["images"], to=onnx.TensorProto.FLOAT16)
    x = net.node("Relu", [net.conv(x, 3, 8, 3)])
    x = net.node("Cast", [net.conv(x, 8, 4)], to=FLOAT)
    for weight in net.weights:
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, weight.name))
    host = host_of(image_net(net.model({"images": ("N", 3, 12, 12)}, [x])))
    default_model(host)
    assert "float16" in host.notes[0]


@pytest.mark.parametrize("form", ["dict", "extra", "list", "double"])
def test_forms_of_batches(form: str) -> None:
    forms: dict[str, Callable[[Any], Any]] = {
        "dict": lambda batch: {"images": batch},
        "extra": lambda batch: {"images": batch, "path": "a.png"},
        "list": lambda batch: batch.tolist(),
        "double": lambda batch: batch.astype(np.float64),
    }
    data = images()
    default_model(
        host_of(given(mobile_net(), Batches(data, form=forms[form]), [{"images": data}]))
    )


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"pictures": images(8)}, "has no 'images'"),
        (images(8)[:, :, :11], "axis 2 has 11 and not 12"),
        (images(8)[0], "3 axes and not 4"),
        (np.full((8, 3, 12, 12), np.nan, np.float32), "NaN"),
        (images(8).astype(str), "float32"),
    ],
)
def test_batches_that_do_not_fit(batch: Any, words: str) -> None:
    what = Given(mobile_net(), [(batch, None)], lambda model: 1.0)
    host = host_of(what)
    with host.session(lambda what: None), pytest.raises(DataError, match=words):  # noqa: PT012
        host.calibration_data()
        host.check()


def test_a_batch_of_one_that_gets_eight_names_the_axis() -> None:
    net = Net()
    x = net.conv(net.node("Relu", [net.conv("images", 3, 8, 3)]), 8, 4)
    host = host_of(image_net_without_evaluation(net.model({"images": (1, 3, 12, 12)}, [x])))
    with pytest.raises(DataError, match=r"axis 0 has 8 and not 1.*batches of 1"):
        host.check()


def image_net_without_evaluation(model: Any) -> Given:
    return Given(model, Batches(images()), lambda model: 1.0)


def test_a_batch_of_one() -> None:
    net = Net()
    x = net.conv(net.node("Relu", [net.conv("images", 3, 8, 3)]), 8, 4)
    model, data = net.model({"images": (1, 3, 12, 12)}, [x]), images(8)
    feeds = [{"images": data[i : i + 1]} for i in range(8)]
    default_model(host_of(given(model, Batches(data, batch_size=1), feeds)))


def without_weights() -> Any:
    net = Net()
    x = net.node("Relu", ["images"])
    return net.model({"images": ("N", 3, 12, 12)}, [net.node("ReduceMean", [x], axes=[2, 3])])


def quantized() -> Any:
    host = host_of(image_net())
    choices = Choices({op.key: op.default for op in host.ops()}, 16)
    return host.quantize(choices).model


def newer() -> Any:
    model = mobile_net()
    model.ir_version = 99
    return model


def foreign() -> Any:
    net = Net()
    x = net.node("Fancy", [net.conv("images", 3, 8, 3)], domain="my.ops")
    graph = helper.make_graph(
        net.nodes, "net", [helper.make_tensor_value_info("images", FLOAT, ["N", 3, 12, 12])],
        [helper.make_tensor_value_info(x, FLOAT, None)], net.weights,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("my.ops", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def only_transposed() -> Any:
    """ONNX Runtime has no int8 kernel for any of its ops."""
    net = Net()
    x = net.node("ConvTranspose", ["images", net.drawn(3, 4, 2, 2)])
    return net.model({"images": ("N", 3, 12, 12)}, [x])


def only_in_branches() -> Any:
    """Its one product is inside of an If."""
    net = Net()
    net.constant(matrix(8, 8), "w")
    then, other = (
        helper.make_graph(
            [helper.make_node(kind, inputs, [kind], kind)], kind, [],
            [helper.make_tensor_value_info(kind, FLOAT, ["N", 8])],
        )
        for kind, inputs in (("MatMul", ["x", "w"]), ("Relu", ["x"]))
    )  # fmt: skip
    z = net.node("If", ["flag"], then_branch=then, else_branch=other)
    return net.model({"x": ("N", 8), "flag": ()}, [z], kinds={"flag": onnx.TensorProto.BOOL})


def computed_weights() -> Any:
    """A Gemm and a convolution whose weights come from elsewhere, and a product with a vector."""
    net = Net()
    x = net.node("Conv", ["images", "kernel"])
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    x = net.node("Gemm", [x, net.node("Relu", ["weights"])])
    x = net.node("MatMul", [x, net.drawn(5)])
    shapes = {"images": ("N", 3, 12, 12), "kernel": (4, 3, 3, 3), "weights": (4, 5)}
    return net.model(shapes, [x])


def sequence_input() -> Any:
    model = mobile_net()
    info = helper.make_tensor_sequence_value_info("images", FLOAT, ["N", 3, 12, 12])
    model.graph.input[0].CopyFrom(info)
    return model


def without_opset() -> Any:
    model = mobile_net()
    del model.opset_import[:]
    return model


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (sequence_input, "takes a sequence as its input 'images'"),
        (without_opset, "which opset its ops are of: its opset_import names none"),
        (only_in_branches, r"1 MatMul.* inside of If, Loop or Scan.*openvino"),
        (computed_weights, r"1 Gemm.* are computed, fed, or no matrices.*openvino"),
        (without_weights, "no op that can be quantized"),
        (only_transposed, "no op that can be quantized"),
        (quantized, "quantized already: .* QDQ nodes"),
        (newer, "IR version 99"),
        (foreign, r"my\.ops: Fancy"),
        (lambda: b"ORTMORTM....", "no.*ONNX model|not an ONNX model"),
        (lambda: 7, "no ONNX model but a int"),
    ],
)
def test_models_that_are_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        host_of(image_net_without_evaluation(make()))


def test_a_file_of_onnx_runtimes_own_format(tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(mobile_net().SerializeToString(), options)
    with pytest.raises(ModelError, match=r"\.ort format"):
        host_of(image_net_without_evaluation(path))


def test_another_provider_than_the_cpu() -> None:
    with pytest.raises(SettingsError, match="CPU"):
        Settings.from_kwargs({"onnxruntime_session_options": {"providers": ["CUDA"]}})


def test_an_op_without_int8_kernel_is_left_out_and_the_rest_tuned() -> None:
    net = Net()
    x = net.node("Relu", [net.conv("images", 3, 8, 3)])
    x = net.node("ConvTranspose", [x, net.drawn(8, 8, 2, 2)], "up", strides=[2, 2])
    x = net.node("Relu", [net.conv(x, 8, 4)])
    host = host_of(image_net(net.model({"images": ("N", 3, 12, 12)}, [x])))
    assert len(host.ops()) == 2
    default_model(host)


def test_an_op_that_the_quantizer_refuses_stays_float_with_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from onnxruntime.quantization.operators.gemm import QDQGemm

    def refuses(self: Any) -> None:
        raise NotImplementedError("no such Gemm")

    monkeypatch.setattr(QDQGemm, "quantize", refuses)
    host = host_of(image_net())
    assert all(op.key[1] == "Conv" for op in host.ops())
    (note,) = host.notes
    assert "head" in note
    assert "no such Gemm" in note
    default_model(host)


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_an_opset_that_is_named_twice(domain: str) -> None:
    model = mobile_net()
    model.opset_import.append(helper.make_opsetid(domain, model.opset_import[0].version))
    default_model(host_of(image_net(model)))
