"""ONNX models as people bring them: each tunes, or one sentence says why not and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nc_sigopt_strategy.backends import onnx_files
from nc_sigopt_strategy.errors import ModelError
from tests.integration.fitting import configure, fit, outcome
from tests.integration.onnx_models import (
    BFLOAT16,
    FLOAT,
    FLOAT16,
    HELPER,
    INT64,
    NUMPY,
    Feeds,
    agreement,
    build,
    dense,
    dense_feeds,
    node,
    outputs_of,
    quantized_trials,
    tune,
    value,
    weights,
)

pytestmark = pytest.mark.integration

FEEDS = dense_feeds()


def saved(model: Any, path: Path, *, beside: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        onnx.ModelProto.FromString(model.SerializeToString()), str(path),
        save_as_external_data=beside is not None, location=beside, size_threshold=0,
    )  # fmt: skip
    return path


def refusal(folder: Path, given: Any, feeds: Any = FEEDS) -> str:
    def never(model: Any) -> float:
        raise AssertionError("evaluated before the refusal")

    with pytest.raises(ModelError) as caught:
        tune(folder, given, feeds, never)
    return str(caught.value)


@pytest.mark.parametrize("form", ["str", "path", "proto", "bytes", "inc"])
def test_every_way_to_give_a_model(tmp_path: Path, form: str) -> None:
    from neural_compressor.model.onnx_model import ONNXModel

    model = dense()
    path = saved(model, tmp_path / "m.onnx")
    given = {
        "str": str(path), "path": path, "proto": model, "bytes": path.read_bytes(),
        "inc": ONNXModel(str(path)),
    }[form]  # fmt: skip
    before = model.SerializeToString()
    assert tune(tmp_path, given, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)
    assert outcome().baseline_accuracy == 1
    assert model.SerializeToString() == before


def test_a_configuration_that_served_another_framework(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, {"latency_repeats": 2}, loss=0.9, max_trials=1)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    conf.inputs, conf.outputs = [], []
    path = saved(dense(), tmp_path / "m.onnx")
    assert fit(path, conf, Feeds(FEEDS), agreement(dense(), FEEDS)) is not None
    assert conf.framework.startswith("onnx")


def test_a_path_without_a_suffix(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path / "model")
    assert tune(tmp_path, str(path), FEEDS, agreement(dense(), FEEDS)) is not None


@pytest.mark.parametrize("folder", ["plain", "modèle dir/100% of #1?"])
def test_weights_beside_the_model(tmp_path: Path, folder: str) -> None:
    path = saved(dense(), tmp_path / folder / "m.onnx", beside="weights of m.bin")
    found = tune(tmp_path, str(path), FEEDS, agreement(dense(), FEEDS), kwargs={"locked_ops": {}})
    assert found is not None
    assert quantized_trials(tmp_path)
    best = tmp_path / "run" / "best_model.onnx"
    assert outputs_of(best, FEEDS[0])
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())
    found.save(str(tmp_path / "by hand.onnx"))
    assert outputs_of(tmp_path / "by hand.onnx", FEEDS[0])


def test_a_model_loaded_without_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(dense(), tmp_path / "far" / "m.onnx", beside="m.bin")
    without = onnx.load(str(path), load_external_data=False)
    said = refusal(tmp_path, without)
    assert "2 of its tensors are in 'm.bin'" in said
    assert "path" in said
    # A runtime would look in the current folder.
    monkeypatch.chdir(path.parent)
    assert tune(tmp_path, without, FEEDS, agreement(dense(), FEEDS)) is not None


def test_weights_beside_the_model_are_no_part_of_its_fingerprint(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path / "m.onnx", beside="m.bin")
    assert onnx_files.digest_of_model(onnx_files.read_model(path)) == (
        onnx_files.digest_of_model(dense())
    )


def test_weights_that_are_not_there_or_too_short(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path / "m.onnx", beside="m.bin")
    content = (tmp_path / "m.bin").read_bytes()
    (tmp_path / "m.bin").write_bytes(content[:-200])
    assert "that file has" in refusal(tmp_path, path)
    (tmp_path / "m.bin").unlink()
    assert "no such file" in refusal(tmp_path, str(path))


def test_a_model_that_is_too_large_for_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a protobuf message could hold a few kB."""
    monkeypatch.setattr(onnx_files, "LARGEST_MESSAGE", onnx_files._ROOM_FOR_THE_GRAPH + 100)
    monkeypatch.setattr("neural_compressor.model.onnx_model.MAXIMUM_PROTOBUF", 100)
    model = build(
        [node("MatMul", ["x", "w"], ["h"]), node("MatMul", ["h", "w2"], ["y"])],
        [value("x", "N", 64)],
        [value("y", "N", 64)],
        [weights("w", 64, 64), weights("w2", 64, 64)],
    )
    feeds = [{"x": np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)}]
    path = saved(model, tmp_path / "modèle dir" / "m.onnx", beside="m.bin")
    found = tune(tmp_path, str(path), feeds, agreement(model, feeds))
    assert found is not None
    assert quantized_trials(tmp_path)
    best = tmp_path / "run" / "best_model.onnx"
    assert best.with_name("best_model.onnx_data").is_file()
    assert outputs_of(best, feeds[0])


def convolutions(kind: int, dtype: Any, ends: int) -> Any:
    """Two convolutions in 16 bits, with Casts where the inputs and outputs are in float32."""
    inner, outer = ("x", "y") if ends == kind else ("xh", "yh")
    casts = [] if ends == kind else [node("Cast", ["x"], ["xh"], to=kind)]
    back = [] if ends == kind else [node("Cast", ["yh"], ["y"], to=FLOAT)]
    constants = [weights("w0", 8, 3, 3, 3), weights("w1", 8, 8, 3, 3)]
    if dtype is not None:
        constants = [weights(c.name, *c.dims, dtype=dtype) for c in constants]
    else:
        constants = [HELPER.make_tensor(c.name, kind, c.dims, NUMPY.to_array(c).flatten())
                     for c in constants]  # fmt: skip
    nodes = [
        *casts,
        node("Conv", [inner, "w0"], ["c0"]),
        node("Relu", ["c0"], ["r0"]),
        node("Conv", ["r0", "w1"], [outer]),
        *back,
    ]
    return build(nodes, [value("x", "N", 3, 8, 8, kind=ends)],
                 [value("y", "N", 8, 4, 4, kind=ends)], constants)  # fmt: skip


@pytest.mark.parametrize("ends", [FLOAT, FLOAT16])
def test_float16(tmp_path: Path, ends: int) -> None:
    model = convolutions(FLOAT16, np.float16, ends)
    rng = np.random.default_rng(0)
    dtype = np.float32 if ends == FLOAT else np.float16
    feeds = [{"x": rng.normal(size=(8, 3, 8, 8)).astype(dtype)} for _ in range(2)]
    found = tune(tmp_path, saved(model, tmp_path / "m.onnx"), feeds, agreement(model, feeds))
    assert found is not None
    assert quantized_trials(tmp_path)
    ended = outcome()
    assert ended.baseline_accuracy == 1
    assert "float16" in ended.model_notes[0]
    assert "model as it was given" in ended.model_notes[0]
    # Whoever feeds the one can feed the other.
    assert found.model.graph.input[0].type == model.graph.input[0].type
    assert found.model.graph.output[0].type == model.graph.output[0].type


def test_bfloat16_that_cannot_run_here(tmp_path: Path) -> None:
    model = convolutions(BFLOAT16, None, FLOAT)
    feeds = [{"x": np.random.default_rng(0).normal(size=(8, 3, 8, 8)).astype(np.float32)}]
    accuracies = []

    def evaluate(candidate: Any) -> float:
        accuracies.append(outputs_of(candidate, feeds[0])[0])
        return 1.0

    assert tune(tmp_path, model, feeds, evaluate) is not None
    assert quantized_trials(tmp_path)
    assert "bfloat16, which cannot run here" in outcome().model_notes[0]


def test_float64(tmp_path: Path) -> None:
    model = dense(kind=onnx.TensorProto.DOUBLE, dtype=np.float64)
    feeds = dense_feeds(np.float64)
    assert tune(tmp_path, model, feeds, agreement(model, feeds)) is not None
    assert quantized_trials(tmp_path)
    assert "double" in outcome().model_notes[0]


def test_float16_only_in_the_middle(tmp_path: Path) -> None:
    """Mixed precision: some weights in float16, with Casts around, one of them in a branch."""
    then = HELPER.make_graph([node("Cast", ["r"], ["t"], to=FLOAT16)], "then", [],
                             [value("t", "N", 16, kind=FLOAT16)])  # fmt: skip
    other = HELPER.make_graph([node("Mul", ["c", "half"], ["e"])], "else", [],
                              [value("e", "N", 16, kind=FLOAT16)],
                              [weights("half", 1, dtype=np.float16)])  # fmt: skip
    model = build(
        [
            node("MatMul", ["x", "w"], ["r"]),
            node("Cast", ["r"], ["c"], to=FLOAT16),
            node("If", ["flag"], ["z"], then_branch=then, else_branch=other),
            node("MatMul", ["z", "w2"], ["h"]),
            node("Cast", ["h"], ["y"], to=FLOAT),
        ],
        [value("x", "N", 16), HELPER.make_tensor_value_info("flag", onnx.TensorProto.BOOL, [])],
        [value("y", "N", 16)],
        [weights("w", 16, 16), weights("w2", 16, 16, dtype=np.float16)],
    )
    feeds = [{**feed, "flag": np.array(i == 0)} for i, feed in enumerate(FEEDS)]
    assert tune(tmp_path, model, feeds, agreement(model, feeds)) is not None
    assert quantized_trials(tmp_path)


def quantized_model(folder: Path, form: str) -> Any:
    from onnxruntime import quantization as ort

    path = saved(dense(), folder / "fp32.onnx")
    target = folder / "quantized.onnx"
    if form == "dynamic":
        ort.quantize_dynamic(str(path), str(target))
    else:

        class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self._feeds = iter(FEEDS)

            def get_next(self) -> Any:
                return next(self._feeds, None)

        quant_format = ort.QuantFormat.QDQ if form == "qdq" else ort.QuantFormat.QOperator
        ort.quantize_static(str(path), str(target), Reader(), quant_format=quant_format)
    return target


@pytest.mark.parametrize(
    ("form", "said"), [("qdq", "QDQ nodes"), ("qoperator", "QLinearMatMul"),
                       ("dynamic", "2 DynamicQuantizeLinear")],
)  # fmt: skip
def test_a_model_that_is_quantized_already(tmp_path: Path, form: str, said: str) -> None:
    message = refusal(tmp_path, str(quantized_model(tmp_path, form)))
    assert "is quantized already" in message
    assert said in message
    assert "Give the FP32 model" in message


def test_what_we_made_is_refused_too(tmp_path: Path) -> None:
    made = tune(
        tmp_path, dense(), FEEDS, agreement(dense(), FEEDS),
        kwargs={"search_space": "full"}, max_trials=1,
    )  # fmt: skip
    assert "is quantized already" in refusal(tmp_path, made)


def shared_weight(model_of: str) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(0)
    ids = [{"ids": rng.permutation(8)} for _ in range(2)]
    ends = [value("ids", "N", kind=INT64)], [value("y", "N", 8)]
    first = [node("Gather", ["w", "ids"], ["e"])]
    if model_of == "gemm":
        last = [node("Gemm", ["e", "w"], ["y"], transB=1)]
    elif model_of == "two gemms":
        last = [
            node("Gemm", ["e", "w"], ["h"], transB=1),
            node("Gemm", ["h", "w"], ["y"], transB=1),
        ]
    elif model_of == "transpose":
        # ONNX Runtime makes one Gemm with transB of the two, when INC optimizes the graph.
        last = [node("Transpose", ["w"], ["wt"]), node("Gemm", ["e", "wt", "b"], ["y"])]
    elif model_of == "matmul and gemm":
        last = [node("MatMul", ["e", "w"], ["h"]), node("Gemm", ["h", "w"], ["y"], transB=1)]
    else:
        branch = [
            HELPER.make_graph(
                [node("MatMul", ["e", "w"], [name])], name, [], [value(name, "N", 8)]
            )
            for name in ("then", "else")
        ]
        last = [
            node("Gemm", ["e", "w"], ["h"], transB=1),
            node("ReduceSum", ["h"], ["sum"], keepdims=0),
            node("Cast", ["sum"], ["flag"], to=onnx.TensorProto.BOOL),
            node("If", ["flag"], ["z"], then_branch=branch[0], else_branch=branch[1]),
            node("Add", ["z", "h"], ["y"]),
        ]
    return build(first + last, *ends, [weights("w", 8, 8), weights("b", 8)]), ids


@pytest.mark.parametrize(
    "model_of", ["gemm", "two gemms", "transpose", "matmul and gemm", "gemm and branch"]
)
def test_one_weight_read_by_several(tmp_path: Path, model_of: str) -> None:
    model, feeds = shared_weight(model_of)
    found = tune(tmp_path, model, feeds, agreement(model, feeds),
                 kwargs={"locked_ops": {"gather_.*": "fp32"}})  # fmt: skip
    assert found is not None
    assert outcome().baseline_accuracy == 1
    # Transposed weights would be far off: int8 alone costs little.
    assert min(trial.accuracy for trial in quantized_trials(tmp_path)) > 0.9


def test_fixed_batch_of_another_size(tmp_path: Path) -> None:
    model = build([node("MatMul", ["x", "w"], ["y"])], [value("x", 1, 16)], [value("y", 1, 16)],
                  [weights("w", 16, 16)])  # fmt: skip
    evaluated: list[Any] = []
    assert tune(tmp_path, model, FEEDS, lambda m: evaluated.append(m) or 1.0) is None
    said = outcome().stop_reason
    assert (
        "Input 'x' of calibration batch 0 does not fit the model: axis 0 has 8 and not 1" in said
    )
    assert outcome().trials == 0
    assert not evaluated


def test_batches_of_another_type_are_converted(tmp_path: Path) -> None:
    assert tune(tmp_path, dense(), dense_feeds(np.float64)) is not None


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"ir": 99}, ("IR version 99", "reads up to", "ONNX Runtime", "pip install -U")),
        ({"opset": 99}, ("opset 99", "reads up to", "ONNX Runtime", "opset_version=")),
    ],
)
def test_newer_than_the_runtime(tmp_path: Path, versions: Any, said: tuple[str, ...]) -> None:
    for form in (saved(dense(**versions), tmp_path / "m.onnx"), dense(**versions)):
        message = refusal(tmp_path, form)
        assert all(part in message for part in said)
        assert "Framework is not detected" not in message


def test_ops_of_a_library(tmp_path: Path) -> None:
    custom = HELPER.make_node("Swish", ["x"], ["h"], "swish", domain="my.company")
    model = build([custom, node("MatMul", ["h", "w"], ["y"])], [value("x", "N", 16)],
                  [value("y", "N", 16)], [weights("w", 16, 16)],
                  more_opsets=[("my.company", 1)])  # fmt: skip
    assert "my.company: Swish" in refusal(tmp_path, model)


def test_ops_of_local_functions(tmp_path: Path) -> None:
    """A local function needs no library; and the standard opset need not be named first."""
    function = HELPER.make_function(
        "my.company", "Swish", ["x"], ["y"],
        [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])],
        [HELPER.make_opsetid("", 13)],
    )  # fmt: skip
    custom = HELPER.make_node("Swish", ["x"], ["h"], "swish", domain="my.company")
    model = build([custom, node("MatMul", ["h", "w"], ["y"])], [value("x", "N", 16)],
                  [value("y", "N", 16)], [weights("w", 16, 16)],
                  more_opsets=[("my.company", 1)])  # fmt: skip
    model.functions.append(function)
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)


def test_an_op_that_does_not_exist(tmp_path: Path) -> None:
    model = build([node("MatMull", ["x", "w"], ["y"])], [value("x", "N", 16)],
                  [value("y", "N", 16)], [weights("w", 16, 16)])  # fmt: skip
    message = refusal(tmp_path, model)
    assert "MatMull" in message
    assert "IR version 8" in message


def test_nothing_to_quantize(tmp_path: Path) -> None:
    model = build([node("Sin", ["x"], ["s"]), node("Cos", ["s"], ["y"])], [value("x", "N", 16)],
                  [value("y", "N", 16)])  # fmt: skip
    message = refusal(tmp_path, model)
    assert "no op that can be quantized" in message
    assert "1 Sin" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1", "not an ONNX model"),
        (b"", "not an ONNX model"),
        (b"\x00\x00\x00\x00ORTM\x00\x00", ".ort format"),
    ],
)
def test_files_that_hold_no_model(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert said in refusal(tmp_path, path)


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    message = refusal(tmp_path, "models/m.onnx")
    assert "models/m.onnx" in message
    assert str(tmp_path) in message


def test_a_folder_with_models(tmp_path: Path) -> None:
    saved(dense(), tmp_path / "export" / "m.onnx")
    assert "m.onnx" in refusal(tmp_path, str(tmp_path / "export"))


def test_links_to_model_and_weights(tmp_path: Path) -> None:
    """As Hugging Face's cache holds them: each in a file named by its hash."""
    saved(dense(), tmp_path / "m.onnx", beside="m.onnx_data")
    (tmp_path / "snapshot").mkdir()
    for name, blob in ("m.onnx", "12ab"), ("m.onnx_data", "34cd"):
        (tmp_path / name).rename(tmp_path / blob)
        (tmp_path / "snapshot" / name).symlink_to(f"../{blob}")
    given = tmp_path / "snapshot" / "m.onnx"
    assert tune(tmp_path, given, FEEDS, agreement(dense(), FEEDS)) is not None


def test_weights_outside_of_the_folder(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path / "m.onnx", beside="m.bin")
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        next(e for e in tensor.external_data if e.key == "location").value = "../m.bin"
    path.write_bytes(model.SerializeToString())
    assert "not beside it" in refusal(tmp_path, path)


@pytest.mark.parametrize("named", [0, 1, 2])
def test_nodes_without_a_name(tmp_path: Path, named: int) -> None:
    model = dense()
    for entry in list(model.graph.node)[named:]:
        entry.name = ""
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)
    assert outputs_of(tmp_path / "run" / "best_model.onnx", FEEDS[0])


@pytest.mark.parametrize("ir", [3, 8])
def test_constants_listed_as_inputs(tmp_path: Path, ir: int) -> None:
    model = dense(ir=ir, opset=13 if ir > 3 else 8)
    for name in ("w", "w2"):
        model.graph.input.append(value(name, 16, 16))
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    if ir > 3:
        assert quantized_trials(tmp_path)


def test_outputs_that_are_no_arrays(tmp_path: Path) -> None:
    """A classifier as scikit-learn's converter ends it: labels, and a list of maps."""
    zipmap = HELPER.make_node("ZipMap", ["p"], ["maps"], "zipmap", domain="ai.onnx.ml",
                              classlabels_int64s=list(range(16)))  # fmt: skip
    maps = HELPER.make_value_info("maps", HELPER.make_sequence_type_proto(
        HELPER.make_map_type_proto(INT64, HELPER.make_tensor_type_proto(FLOAT, []))))  # fmt: skip
    model = build(
        [node("MatMul", ["x", "w"], ["h"]), node("Softmax", ["h"], ["p"]), zipmap],
        [value("x", "N", 16)],
        [value("p", "N", 16), maps],
        [weights("w", 16, 16)],
        more_opsets=[("ai.onnx.ml", 1)],
    )
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)


def test_an_output_of_text_and_one_that_is_an_input(tmp_path: Path) -> None:
    text = HELPER.make_node("LabelEncoder", ["i"], ["text"], "encoder", domain="ai.onnx.ml",
                            keys_int64s=[0, 1], values_strings=["a", "b"])  # fmt: skip
    model = build(
        [node("MatMul", ["x", "w"], ["h"]), node("ArgMax", ["h"], ["i"], axis=1), text],
        [value("x", "N", 16)],
        [value("h", "N", 16), value("x", "N", 16), value("text", kind=onnx.TensorProto.STRING)],
        [weights("w", 16, 16)],
        more_opsets=[("ai.onnx.ml", 2)],
    )
    model.graph.output[2].type.tensor_type.ClearField("shape")
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)


def test_a_config_of_somebody_else_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"learning_rate": 0.1}')
    path = saved(dense(), tmp_path / "m.onnx")
    assert tune(tmp_path, str(path), FEEDS, agreement(dense(), FEEDS)) is not None


def test_weights_as_constant_nodes(tmp_path: Path) -> None:
    model = dense()
    constants = [
        HELPER.make_node("Constant", [], [w.name], f"constant_{w.name}", value=w)
        for w in model.graph.initializer
    ]
    model = build([*constants, *model.graph.node], model.graph.input, model.graph.output)
    assert tune(tmp_path, model, FEEDS, agreement(model, FEEDS)) is not None
    assert quantized_trials(tmp_path)


def test_batches_by_name(tmp_path: Path) -> None:
    assert tune(tmp_path, dense(), FEEDS, agreement(dense(), FEEDS),
                loader=Feeds(FEEDS, as_dict=True)) is not None  # fmt: skip
    assert quantized_trials(tmp_path)


def test_other_strategies_get_what_they_are_given(tmp_path: Path) -> None:
    """INC's own strategies go INC's own way, the refusals included."""
    path = quantized_model(tmp_path, "qdq")
    assert tune(tmp_path, str(path), FEEDS, strategy="basic", quant_level=1) is None
