"""The model of an OpenVINO run, built again from its recipe with OpenVINO and NNCF alone.

    python examples/recipes/rebuild_openvino.py MODEL RECIPE.json DATA.npy BEST.xml

``MODEL`` is what was tuned, ``RECIPE.json`` the run folder's ``recipe.json``, ``DATA.npy`` the
inputs that calibrated, batch after batch in one array.
"""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov


def rebuild(model: ov.Model, items: Sequence[Any], recipe: Mapping[str, Any], path: Path) -> None:
    """Write the model of a recipe.

    Args:
        model: As it was tuned, not quantized.
        items: What calibrates: single inputs or whole batches, as the recipe says.
        recipe: Of the run.
        path: Of the new model, ending in ``.xml``.
    """
    stable_names(model)
    quantized = model.clone()
    if recipe["subset_size"]:
        options = dict(recipe["nncf"])
        advanced = nncf.AdvancedQuantizationParameters()
        if "overflow_fix" in options:
            advanced.overflow_fix = nncf.OverflowFix(options.pop("overflow_fix"))
        if "model_type" in options:
            options["model_type"] = nncf.ModelType(options["model_type"])
        quantized = nncf.quantize(
            quantized,
            nncf.Dataset(items[: recipe["subset_size"]]),
            subset_size=recipe["subset_size"],
            advanced_parameters=advanced,
            **options,
        )
    restore(quantized, model, recipe["restored"])
    ov.serialize(quantized, str(path))
    keep_precision(path, recipe["keep_precision"])


def stable_names(model: ov.Model) -> None:
    """Replace the names that a converter counts up from process to process."""
    kept: set[str] = set()
    counted, counts = [], Counter[str]()
    for node in model.get_ordered_ops():
        name = node.get_friendly_name()
        if name in kept or re.fullmatch(r"[A-Z][A-Za-z0-9]*_\d+", name):
            counted.append(node)
        else:
            kept.add(name)
    for node in counted:
        kind = node.get_type_name()
        while f"{kind}_{counts[kind]}" in kept:
            counts[kind] += 1
        kept.add(f"{kind}_{counts[kind]}")
        node.set_friendly_name(f"{kind}_{counts[kind]}")


def restore(quantized: ov.Model, model: ov.Model, names: Sequence[str]) -> None:
    """Let nodes of the quantized model read what they read in the float one."""
    nodes = {node.get_friendly_name(): node for node in quantized.get_ops()}
    known = {node.get_friendly_name(): node for node in model.get_ops()}
    constants: set[str] = set()
    for node in model.get_ordered_ops():
        owners = [value.get_node().get_friendly_name() for value in node.input_values()]
        if node.get_type_name() == "Constant" or (owners and constants.issuperset(owners)):
            constants.add(node.get_friendly_name())
    for name in names:
        for position, source in enumerate(known[name].input_values()):
            owner = source.get_node().get_friendly_name()
            if owner not in constants:
                source = nodes[owner].output(source.get_index())
            nodes[name].input(position).replace_source_output(source)


def keep_precision(path: Path, names: Sequence[str]) -> None:
    """Mark ops in a file as ones that keep f32 where the others run in bf16."""
    tree = ElementTree.parse(path)
    for layer in tree.getroot().find("layers") or ():
        if layer.get("name") in names:
            noted = ElementTree.Element("rt_info")
            ElementTree.SubElement(noted, "attribute", name="precise", version="0")
            layer.insert(0 if layer.find("data") is None else 1, noted)
    tree.write(path)


if __name__ == "__main__":
    source, recipe_file, data, target = sys.argv[1:]
    told = json.loads(Path(recipe_file).read_text())
    inputs = np.load(data)
    step = 1 if told["items"] == "inputs" else len(inputs) // told["subset_size"]
    rebuild(
        ov.Core().read_model(source)
        if source.endswith((".onnx", ".xml"))
        else ov.convert_model(source),
        [inputs[i : i + step] for i in range(0, len(inputs), step)],
        told,
        Path(target),
    )
    print("compile_model(..., 'CPU',", told["properties"], ")")
