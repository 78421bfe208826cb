"""What makes an ONNX model or its data impossible to tune, found before anything is spent."""

from __future__ import annotations

import collections
import re
from collections.abc import Collection
from typing import Any

import onnx
import onnxruntime

from nc_sigopt_strategy.backends.onnx_files import loadable
from nc_sigopt_strategy.backends.onnx_protos import (
    nodes_of,
    opsets_of,
    real_inputs,
)
from nc_sigopt_strategy.errors import ModelError

# By name, not by list: each version of ONNX Runtime brings new ones.
_QUANTIZED_OP = re.compile(
    r"QLinear|(De|Dynamic)?[Qq]uantize|MatMul(Integer|NBits|Bnb4|Fp|.*Float8)|ConvInteger|GatherBlockQuantized"
    r"|Q(Attention|Gemm|Conv|MoE|EmbedLayerNormalization|Ordered)"
)
_PRODUCTS = ("Conv", "Gemm", "MatMul")
_QDQ = ("QuantizeLinear", "DequantizeLinear")
# Domains whose ops ONNX Runtime brings itself, as far as the build has them.
_STANDARD = ("", "ai.onnx")
_KNOWN_DOMAINS = (*_STANDARD, "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")
_KNOWN_PREFIXES = ("com.microsoft", "org.pytorch")


def refuse_quantized(model: Any, what: str = "This model") -> None:
    """Refuse a model that holds quantized ops already.

    Raises:
        ModelError: It does; the message counts them.
    """
    found = collections.Counter(
        node.op_type for node in nodes_of(model) if _QUANTIZED_OP.match(node.op_type)
    )
    pairs = sum(found.pop(kind, 0) for kind in _QDQ)
    parts = [f"{pairs} QDQ nodes"] if pairs else []
    parts += [f"{count} {kind}" for kind, count in sorted(found.items())]
    if parts:
        raise ModelError(
            f"{what} is quantized already: {', '.join(parts)}.",
            "Give the FP32 model that it was made from.",
        )


def refuse_inputs(model: Any, what: str = "The model") -> None:
    """Refuse a model with an input that is no tensor.

    Raises:
        ModelError: It has one, as a sequence of tensors.
    """
    for info in real_inputs(model):
        kind = _kind_of(info.type)
        if kind not in ("", "tensor"):
            raise ModelError(
                f"{what} takes a {kind} as its input {info.name!r}, and batches are fed as "
                "tensors.",
                "Export the model with a tensor in its place, or tune the part of the model that "
                "follows it.",
            )


def refuse_unloadable(model: Any, what: str = "The model") -> None:
    """Refuse a model that ONNX Runtime cannot load here, and say what of it is the cause.

    Raises:
        ModelError: It cannot.
    """
    try:
        _load(model)
    except Exception as error:  # ONNX Runtime has a class of its own for each way to fail
        raise _why_unloadable(model, what, str(error)) from error


def refuse_without_ops(model: Any, quantizable: Collection[str]) -> None:
    """Refuse a model that has nothing to quantize.

    Args:
        model: A ``ModelProto``.
        quantizable: Op types that can be.

    Raises:
        ModelError: No node is of such a type.
    """
    # INC makes a MatMul of a Gemm.
    if not {node.op_type for node in nodes_of(model)} & {*quantizable, "Gemm"}:
        raise without_ops(model)


def without_ops(model: Any, further: str = "") -> ModelError:
    """What to raise for a model that has nothing to quantize: what it holds, and why not those.

    Args:
        model: A ``ModelProto``.
        further: One more way out, as a sentence.
    """
    found = collections.Counter(node.op_type for node in nodes_of(model))
    most = ", ".join(f"{count} {kind}" for kind, count in found.most_common(5))
    outermost = {node.op_type for node in model.graph.node}
    why = ""
    if outermost.intersection(_PRODUCTS):
        why = " The weights of its products are computed, fed, or no matrices."
    elif set(found).intersection(_PRODUCTS):
        why = " Its products are inside of If, Loop or Scan, which stay as they are."
    return ModelError(
        f"The model has no op that can be quantized; it holds {most or 'no node'}.{why}",
        "Int8 serves convolutions and matrix multiplications with constant weights; leave this "
        f"model as it is. {further}".rstrip(),
    )


def _kind_of(type_proto: Any) -> str:
    """What an input is, in a word; what may be left out is what it is where it is given."""
    kind = type_proto.WhichOneof("value") or ""
    if kind == "optional_type":
        return _kind_of(type_proto.optional_type.elem_type)
    return str(kind).removesuffix("_type").replace("_", " ")


def _load(model: Any) -> None:
    options = onnxruntime.SessionOptions()
    # It is about whether, not how fast; and its complaints come as an exception anyway.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    with loadable(model) as source:
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _why_unloadable(model: Any, what: str, text: str) -> ModelError:
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    opsets = opsets_of(model)
    newest = _newest("ir", model.ir_version)
    if newest is not None:
        return ModelError(
            f"{what} has IR version {model.ir_version}, and {runtime} reads up to {newest}.",
            "Update it (pip install -U onnxruntime), or export the model for this one"
            f" (onnx.save with model.ir_version = {newest}).",
        )
    if "" not in opsets and any(node.domain in _STANDARD for node in nodes_of(model)):
        return ModelError(
            f"{what} does not say which opset its ops are of: its opset_import names "
            f"{', '.join(opsets) or 'none'}.",
            "Export it anew, or add the opset that it was exported in: "
            'model.opset_import.append(onnx.helper.make_opsetid("", 17)).',
        )
    newest = _newest("opset", opsets[""]) if "" in opsets else None
    if newest is not None:
        return ModelError(
            f"{what} has opset {opsets['']}, and {runtime} reads up to {newest}.",
            "Update it (pip install -U onnxruntime), or export the model with opset_version="
            f"{newest} (onnx.version_converter.convert_version may do as well).",
        )
    foreign = _foreign_ops(model)
    if foreign:
        shown = "; ".join(f"{domain}: {', '.join(ops)}" for domain, ops in foreign.items())
        return ModelError(
            f"{what} holds ops that {runtime} does not know ({shown}): they live in a library "
            "that a session has to register, and none is registered here.",
            "Express them in standard ops or as local functions, or quantize the part of the "
            f"model without them. It said: {text}",
        )
    versions = ", ".join(f"{domain or 'ai.onnx'} {number}" for domain, number in opsets.items())
    return ModelError(
        f"{runtime} cannot load the model (IR version {model.ir_version}, opset {versions}): "
        f"{text}",
        "onnx.checker.check_model(model, full_check=True) may say more.",
    )


def _foreign_ops(model: Any) -> dict[str, list[str]]:
    """Domain to op types that neither ONNX Runtime nor the model itself brings."""
    own = {(function.domain, function.name) for function in model.functions}
    foreign: dict[str, set[str]] = {}
    for node in nodes_of(model):
        known = node.domain in _KNOWN_DOMAINS or node.domain.startswith(_KNOWN_PREFIXES)
        if not known and (node.domain, node.op_type) not in own:
            foreign.setdefault(node.domain, set()).add(node.op_type)
    return {domain: sorted(ops) for domain, ops in foreign.items()}


def _newest(what: str, version: int) -> int | None:
    """The newest IR or opset version that this ONNX Runtime reads, if ``version`` is beyond it.

    By trying with a model of one node: ONNX Runtime has no function that says it.
    """
    if _reads(what, version):
        return None
    low, high = 1, version
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _reads(what, middle) else (low, middle)
    return low


def _reads(what: str, version: int) -> bool:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("x", kind, [1])],
        [helper.make_tensor_value_info("y", kind, [1])],
    )
    ir, opset = (version, 7) if what == "ir" else (4, version)
    probe = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    try:
        _load(probe)
    except Exception:  # whatever it is, it cannot be read
        return False
    return True
