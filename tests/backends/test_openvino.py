"""OpenVINO models: sessions, files, fingerprints, how ops run, sizes of ops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest

from nc_sigopt_strategy.backends.openvino import OpenVinoBackend, OpenVinoModel
from nc_sigopt_strategy.backends.openvino_graph import graph_nodes, openvino_inputs
from nc_sigopt_strategy.backends.openvino_ir import Ir
from nc_sigopt_strategy.backends.openvino_properties import BF16, F32, Properties
from nc_sigopt_strategy.errors import ModelError, SettingsError
from nc_sigopt_strategy.settings.openvino_properties import checked_properties
from tests.hosts.openvino.small_models import SIZE, Net, attention, chain, images, residual

HAS_BF16 = BF16 in Properties().floats
needs_bf16 = pytest.mark.skipif(not HAS_BF16, reason="the processor has no bf16")


def model(made: Any = None, precision: str = F32) -> OpenVinoModel:
    return OpenVinoModel(chain() if made is None else made, precision)


def marked(*names: str) -> OpenVinoModel:
    return OpenVinoModel(Ir.of(chain()).keeping_precision(names).model(), BF16)


def test_a_session_runs_arrays_lists_and_dicts() -> None:
    session = OpenVinoBackend().open(model())
    batch = images().arrays[0]
    expected = session.run(batch)[0]
    np.testing.assert_array_equal(session.run({"x": batch})[0], expected)
    np.testing.assert_array_equal(session.run(batch[::-1].copy()[::-1])[0], expected)
    assert session.run(batch[:1])[0].shape == (1, 10)
    session.close()


def test_outputs_are_the_callers_own() -> None:
    session = OpenVinoBackend().open(model())
    first, second = images().arrays[:2]
    given = session.run(first)[0]
    kept = given.copy()
    session.run(second)
    np.testing.assert_array_equal(given, kept)


def test_a_batch_with_too_few_inputs_is_refused() -> None:
    net = Net()
    one, other = net.input(-1, 4, name="a"), net.input(-1, 4, name="b")
    session = OpenVinoBackend().open(model(net.model(net.op.add(one, other), [one, other])))
    with pytest.raises(ModelError, match="2 inputs"):
        session.run([np.zeros((1, 4), np.float32)])


def test_models_that_are_open_together_give_what_they_give_alone() -> None:
    backend, batch = OpenVinoBackend(), images().arrays[0]
    made = [model(), model(residual()), model()]
    alone = []
    for one in made:
        session = backend.open(one)
        alone.append(session.run(batch)[0])
        session.close()
        backend.release(one)
    sessions = [backend.open(one) for one in made]
    for _ in range(3):
        for session, expected in zip(sessions, alone, strict=True):
            np.testing.assert_array_equal(session.run(batch)[0], expected)


def test_a_released_model_opens_again() -> None:
    backend, one = OpenVinoBackend(), model()
    compiled = one.compiled(backend.properties)
    assert one.compiled(backend.properties) is compiled
    backend.release(one)
    assert one.compiled(backend.properties) is not compiled


def test_a_fingerprint_is_of_graph_weights_and_types() -> None:
    fingerprint = OpenVinoBackend().fingerprint
    renamed = chain()
    for node in renamed.get_ops():
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"{node.get_friendly_name()}/renamed")
    assert fingerprint(model(renamed)) == fingerprint(model())
    heavier = chain()
    constant = next(n for n in heavier.get_ordered_ops() if n.get_type_name() == "Constant")
    changed = ov.op.Constant(np.asarray(constant.data) + 1)
    constant.output(0).replace(changed.output(0))
    others = [model(heavier), model(residual()), model(precision=BF16), marked("first")]
    assert len({fingerprint(one) for one in [model(), *others]}) == 5
    assert fingerprint(marked("first", "none")) == fingerprint(marked("first"))


def test_what_is_saved_is_what_was_measured(tmp_path: Path) -> None:
    backend, one = OpenVinoBackend(), marked("depthwise", "depthwise/bias", "depthwise/relu")
    path = backend.save(one, tmp_path / "folder" / "best.xml")
    assert {each.name for each in path.parent.iterdir()} == {"best.xml", "best.bin"}
    again = OpenVinoModel(ov.Core().read_model(str(path)), BF16)
    assert backend.fingerprint(again) == backend.fingerprint(one)
    batch = images().arrays[0]
    np.testing.assert_array_equal(
        backend.open(again).run(batch)[0], backend.open(one).run(batch)[0]
    )
    # Over what was there before.
    backend.save(model(residual()), path)
    assert backend.fingerprint(OpenVinoModel(ov.Core().read_model(str(path)), F32)) == (
        backend.fingerprint(model(residual()))
    )


@needs_bf16
def test_marked_ops_keep_f32_among_others_in_bf16() -> None:
    ops = ["first", "depthwise", "pointwise", "logits"]
    ran = OpenVinoBackend().ran_as(marked("depthwise"), ops)
    assert ran == {"first": "bf16", "depthwise": "fp32", "pointwise": "bf16", "logits": "bf16"}


def test_how_a_quantized_model_runs_is_told() -> None:
    nncf = pytest.importorskip("nncf")
    made = nncf.quantize(chain(), nncf.Dataset(images().arrays), subset_size=2)
    ops = ["first", "depthwise", "pointwise", "logits", "none"]
    assert OpenVinoBackend().ran_as(model(made), ops) == dict.fromkeys(ops[:4], "int8")


def test_the_users_properties_are_what_models_are_compiled_with() -> None:
    backend = OpenVinoBackend({"inference_num_threads": 1, "PERFORMANCE_HINT": "THROUGHPUT"})
    compiled = model().compiled(backend.properties)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == ov.Type.f32
    assert backend.deployment(model()) == {
        "device": "CPU",
        "properties": {
            "INFERENCE_NUM_THREADS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
        },
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("LATENCY", "must be a dict"),
        ({1: 2}, "no string"),
        ({"NUM_STREAMS": [1]}, "a string, a number or a boolean"),
        ({"DEVICE_NAME": "GPU"}, "for the CPU only"),
    ],
)
def test_what_are_no_properties_is_refused_without_openvino(value: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        checked_properties("openvino_properties", value)


def test_no_properties_are_none() -> None:
    assert checked_properties("openvino_properties", {}) is None
    assert checked_properties("openvino_properties", {"device": "cpu"}) is None


def test_inputs_have_names_shapes_and_types() -> None:
    (given,) = openvino_inputs(chain())
    assert given.describe() == f"float32 [?, 3, {SIZE}, {SIZE}]"
    assert given.name == "x"


def test_sizes_of_ops_are_products_for_one_input() -> None:
    graph = OpenVinoBackend().op_graph(
        model(),
        [("first", "Convolution"), ("depthwise", "GroupConvolution"), ("logits", "MatMul")],
    )
    pixels = SIZE * SIZE
    sizes = {op["name"]: op["multiply_adds"] for op in graph["ops"]}
    assert sizes == {"first": pixels * 16 * 27, "depthwise": pixels * 16 * 9, "logits": 240}
    assert ["first", "depthwise", float(16 * pixels)] in graph["edges"]


def test_a_transposed_convolution_multiplies_once_for_each_weight_and_input() -> None:
    net = Net()
    given = net.input(1, 4, 8, 8)
    made = net.op.convolution_backprop_data(given, net.weights(4, 6, 3, 3), [2, 2], name="up")
    (node,) = [n for n in graph_nodes(net.model(made, given)) if n.name == "up"]
    outputs = float(np.prod(list(made.output(0).get_shape())))
    assert (node.terms or 0) * outputs == pytest.approx(8 * 8 * 4 * 6 * 9)


def test_products_of_attention_have_the_depth_that_they_sum_over() -> None:
    terms = {node.name: node.terms for node in graph_nodes(attention())}
    assert (terms["query"], terms["scores"], terms["mixed"]) == (32, 32, SIZE)
