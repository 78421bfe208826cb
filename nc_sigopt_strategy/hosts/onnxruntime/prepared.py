"""A user's model, prepared once so that ONNX Runtime's quantizer finds what it can work with.

What ``onnxruntime.quantization.quant_pre_process`` is for, in steps that hold for any model: the
runtime's own basic optimizer folds constants and fuses batch norm into convolutions, nodes get
names, and weights that are also read by something else become two. Every step is recorded, so that
a script can repeat it (``recipe``).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import onnx.version_converter
import onnxruntime

from nc_sigopt_strategy.backends.onnx_files import fits_one_file
from nc_sigopt_strategy.backends.onnx_protos import nodes_of, opsets_of, read_in_subgraphs
from nc_sigopt_strategy.errors import in_one_line
from nc_sigopt_strategy.hosts.onnxruntime.bias_vectors import biases_as_vectors
from nc_sigopt_strategy.hosts.onnxruntime.int8_forms import (
    divisions_as_products,
    hard_sigmoids_as_sums,
)

logger = logging.getLogger("nc_sigopt_strategy")

OPTIMIZED = "basic"
# ONNX has QLinearConv since then; from there on ONNX Runtime's own ops do what is missing.
_OLDEST, _UPGRADED = 10, 13
# Ops whose weights are quantized, and at which inputs those are.
WEIGHTED = {"Conv": (1,), "Gemm": (1,), "MatMul": (0, 1)}


@dataclass(frozen=True)
class Prepared:
    """A model to quantize.

    Attributes:
        model: A ``ModelProto`` whose nodes have names, each its own.
        steps: What was done, JSON-safe, as ``recipe`` keeps it.
        notes: What could not be done, in sentences.
    """

    model: Any
    steps: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def prepare(working: Any) -> Prepared:
    """Prepare a model.

    Args:
        working: A float32 ``ModelProto`` with its weights; not changed.
    """
    notes: list[str] = []
    upgraded = _upgraded(working, notes)
    model = _optimized(upgraded, notes)
    steps: dict[str, Any] = {
        "opset": None if upgraded is working else _UPGRADED,
        "optimization": None if model is None else OPTIMIZED,
    }
    if model is None:
        model = onnx.ModelProto()
        model.CopyFrom(upgraded)
    steps["products"] = divisions_as_products(model)
    if steps["products"] and steps["optimization"]:
        # They may join the convolutions before them.
        again = _optimized(model, notes)
        model = model if again is None else again
    _drop_idle_domains(model)
    steps["opsets"] = [[opset.domain, opset.version] for opset in model.opset_import]
    steps["names"] = name_nodes(model)
    steps["sums"] = hard_sigmoids_as_sums(model)
    steps["biases"] = biases_as_vectors(model)
    steps["own_weights"] = _give_own_weights(model)
    return Prepared(model, steps, tuple(notes))


def name_nodes(model: Any) -> dict[str, str]:
    """Name the nodes that have no name of their own; position to new name."""
    nodes = model.graph.node
    taken = {node.name for node in nodes}
    seen: set[str] = set()
    given: dict[str, str] = {}
    for position, node in enumerate(nodes):
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        name = f"{node.op_type}/{position}"
        while name in taken:
            name += "_"
        taken.add(name)
        seen.add(name)
        node.name = given[str(position)] = name
    return given


def _upgraded(working: Any, notes: list[str]) -> Any:
    """The model in a newer opset, where int8 needs one and it can be converted."""
    opset = opsets_of(working).get("", _OLDEST)
    if opset >= _OLDEST:
        return working
    try:
        return onnx.version_converter.convert_version(working, _UPGRADED)
    except Exception as error:  # the converter has a class of its own, and raises others too
        notes.append(
            f"The model has opset {opset}, and it cannot be converted to {_UPGRADED}: "
            f"{in_one_line(error)}"
        )
        return working


def _optimized(working: Any, notes: list[str]) -> Any | None:
    """What the runtime's basic optimizer makes of a model; ``None`` if it cannot."""
    if not fits_one_file(working):
        notes.append("The model is too large for ONNX Runtime to write it optimized.")
        return None
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        with tempfile.TemporaryDirectory(prefix="nc_sigopt_") as folder:
            path = str(Path(folder) / "optimized.onnx")
            options.optimized_model_filepath = path
            onnxruntime.InferenceSession(
                working.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return onnx.load(path)
    except Exception as error:  # ONNX Runtime has a class of its own for each way to fail
        notes.append(f"ONNX Runtime's optimizer did not prepare the model: {in_one_line(error)}")
        return None


def _drop_idle_domains(model: Any) -> None:
    """The optimizer lists every domain that it knows; other readers need not know them."""
    used = {node.domain for node in nodes_of(model)} | {
        function.domain for function in model.functions
    }
    kept = [o for o in model.opset_import if o.domain in ("", "ai.onnx") or o.domain in used]
    kept = [onnx.helper.make_opsetid(o.domain, o.version) for o in kept]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _give_own_weights(model: Any) -> list[dict[str, Any]]:
    """Copy weights that something else reads too: it would read them rounded to int8.

    Ops that quantize one weight share it; they are one parameter.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[tuple[Any, int]]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in constants:
                readers.setdefault(name, []).append((node, position))
    elsewhere = read_in_subgraphs(model) | {made.name for made in graph.output}
    copies: list[dict[str, Any]] = []
    for name, read in readers.items():
        if not _is_weight(constants[name]):
            continue
        as_weight = [(n, p) for n, p in read if p in WEIGHTED.get(n.op_type, ())]
        if not as_weight or (len(as_weight) == len(read) and name not in elsewhere):
            continue
        own = f"{name}_of_{as_weight[0][0].name}"
        graph.initializer.add().CopyFrom(constants[name])
        graph.initializer[-1].name = own
        for node, position in as_weight:
            node.input[position] = own
        copies.append({"name": own, "of": name, "readers": [[n.name, p] for n, p in as_weight]})
    return copies


def _is_weight(tensor: Any) -> bool:
    return tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= 2
