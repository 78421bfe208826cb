"""Build a tuned model again from its recipe, with nothing but ONNX Runtime and onnx.

    python examples/recipes/rebuild_onnxruntime.py MODEL.onnx RECIPE.json REBUILT.onnx

MODEL.onnx is the model that was tuned, RECIPE.json lies in the run's folder. With the versions
that the recipe names the result is the tuned model to the byte. Needs nothing of
nc_sigopt_strategy.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer


def optimized(model: onnx.ModelProto) -> onnx.ModelProto:
    """What a session writes."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = path = str(Path(folder) / "optimized.onnx")
        ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(path)


def prepared(model: onnx.ModelProto, steps: dict[str, Any]) -> onnx.ModelProto:
    """Fold and fuse as ONNX Runtime's basic optimizer does, and give nodes names of their own."""
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer}
    fed = [given for given in graph.input if given.name not in constant]
    del graph.input[:]
    graph.input.extend(fed)
    model.ir_version = max(model.ir_version, 4)  # the first in which constants are no inputs
    if steps["opset"]:
        model = onnx.version_converter.convert_version(model, steps["opset"])
    if steps["optimization"]:
        model = optimized(model)
    divisions = [model.graph.node[position] for position in steps["products"]]
    divisors = {tensor.name: tensor for tensor in model.graph.initializer}
    for position, node in zip(steps["products"], divisions, strict=True):
        factor = np.float32(1) / numpy_helper.to_array(divisors[node.input[1]])
        name = f"{node.input[1]}_reciprocal_{position}"
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(factor), name))
        node.op_type, node.input[1] = "Mul", name
    if divisions and steps["optimization"]:
        model = optimized(model)
    opsets = [helper.make_opsetid(domain, version) for domain, version in steps["opsets"]]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    for position, name in steps["names"].items():
        model.graph.node[int(position)].name = name
    write_out(model.graph, steps["sums"])
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = {node.name: node for node in model.graph.node}
    for bias in steps["biases"]:
        values = numpy_helper.to_array(constants[bias["of"]]).reshape(-1)
        values = np.ascontiguousarray(np.broadcast_to(values, (bias["size"],)))
        model.graph.initializer.append(numpy_helper.from_array(values, bias["name"]))
        for name in bias["readers"]:
            nodes[name].input[2] = bias["name"]
    for copy in steps["own_weights"]:
        model.graph.initializer.add().CopyFrom(constants[copy["of"]])
        model.graph.initializer[-1].name = copy["name"]
        for name, position in copy["readers"]:
            nodes[name].input[position] = copy["name"]
    return model


def write_out(graph: onnx.GraphProto, names: list[str]) -> None:
    """Replace hard sigmoids by Add, Clip and Mul, which int8 has."""
    nodes = []
    for node in graph.node:
        if node.name not in names:
            nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
            continue
        stem = f"{node.name}/hard_sigmoid/"
        shift, lowest, highest, factor = (
            f"{stem}{word}" for word in ("shift", "lowest", "highest", "factor")
        )
        total, clip = f"{stem}sum", f"{stem}clip"
        given = {attribute.name: attribute.f for attribute in node.attribute}
        alpha, beta = np.float32(given.get("alpha", 0.2)), np.float32(given.get("beta", 0.5))
        nodes += [
            helper.make_node("Add", [node.input[0], shift], [f"{total}_out"], total),
            helper.make_node("Clip", [f"{total}_out", lowest, highest], [f"{clip}_out"], clip),
            helper.make_node("Mul", [f"{clip}_out", factor], node.output, f"{stem}product"),
        ]
        values = {shift: beta / alpha, lowest: 0, highest: np.float32(1) / alpha, factor: alpha}
        for name, value in values.items():
            graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    if names:
        del graph.node[:]
        graph.node.extend(nodes)


def quantized(
    model: onnx.ModelProto, arguments: dict[str, Any], cache: dict[str, Any]
) -> onnx.ModelProto:
    """What ONNX Runtime's own quantizer makes of it with known ranges."""
    ranges = {
        name: (np.float32(known["lowest"]), np.float32(known["highest"]))
        for name, known in cache["data"].items()
    }
    extra = dict(arguments["extra_options"])
    for entries in extra.get("TensorQuantOverrides", {}).values():
        entries[0]["quant_type"] = QuantType.from_string(entries[0]["quant_type"])
    del model.graph.value_info[:]
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ranges
    )
    if not any(entry.key == "onnx.infer" for entry in model.metadata_props):
        model.metadata_props.add(key="onnx.infer", value="onnxruntime.quant")
    quantizer = QDQQuantizer(
        model,
        arguments["per_channel"],
        arguments["reduce_range"],
        QuantType.from_string(arguments["weight_type"]),
        QuantType.from_string(arguments["activation_type"]),
        TensorsData(CalibrationMethod.MinMax, ranges),
        [],
        arguments["nodes_to_exclude"],
        arguments["op_types_to_quantize"],
        extra,
    )
    made = quantizer.quantize_model()
    del made.graph.value_info[:]
    return made


def fitted(model: onnx.ModelProto, weights: dict[str, Any]) -> onnx.ModelProto:
    """Weights moved to the steps of int8 that they were fitted to; the nearest is 0 steps away."""
    for tensor in model.graph.initializer:
        if tensor.name not in weights:
            continue
        weight, axis = numpy_helper.to_array(tensor), weights[tensor.name]["axis"]
        steps_moved = zlib.decompress(base64.b64decode(weights[tensor.name]["moved"]))
        moved = np.frombuffer(steps_moved, np.int8).reshape(weight.shape)
        others = tuple(i for i in range(weight.ndim) if i != axis)
        largest = np.abs(weight).max(axis=others, keepdims=True)
        step = np.where(largest > 0, largest / np.float32(127), 1).astype(np.float32)
        numbers = np.clip(np.round(weight / step) + moved, -127, 127).astype(np.float32)
        weight = np.where(np.abs(weight) == largest, weight, numbers * step)
        tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    return model


def kept_float(model: onnx.ModelProto, edits: dict[str, Any]) -> onnx.ModelProto:
    """The edits without which a session's optimizer quantizes what was left in float."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for name, made in edits.get("constants", {}).items():
        value = np.zeros((), np.float32)
        if made["of"] is not None:
            value = numpy_helper.to_array(constants[made["of"]])
            value = value.reshape(-1) if value.size == 1 else value
        repeated = np.ascontiguousarray(np.broadcast_to(value, made["shape"]))
        graph.initializer.append(numpy_helper.from_array(repeated, name))
    nodes = []
    for node in graph.node:
        for new in edits.get("nodes", []):
            if new["before"] == node.name:
                ends = new["op_type"], new["inputs"], new["outputs"], new["name"]
                more = new["attributes"]
                nodes.append(helper.make_node(*ends, domain=new["domain"], **more))
        if node.name in edits.get("inputs", {}):
            del node.input[:]
            node.input.extend(edits["inputs"][node.name])
        if node.name not in edits.get("removed_nodes", []):
            nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del graph.node[:]
    graph.node.extend(nodes)
    for name in edits.get("removed_constants", []):
        graph.initializer.remove(constants[name])
    for domain, version in edits.get("domains", {}).items():
        model.opset_import.append(helper.make_opsetid(domain, version))
    return model


def rebuilt(model: onnx.ModelProto, recipe: dict[str, Any]) -> onnx.ModelProto:
    """The tuned model."""
    model = prepared(model, recipe["preparation"])
    model = fitted(model, recipe["weights"])
    model = quantized(model, recipe["quantizer"], recipe["ranges"])
    return kept_float(model, recipe["kept_float"])


def main() -> None:
    """Read, build, write."""
    given, recipe, target = sys.argv[1:4]
    model = rebuilt(onnx.load(given), json.loads(Path(recipe).read_text(encoding="utf-8")))
    onnx.save(model, target)
    print(f"{target}: {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
