"""A recipe made into a model with OpenVINO and NNCF alone."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any


def rebuilt_from(model: Any, data: Any, recipe: Mapping[str, Any]) -> Any:
    """What ``examples/rebuild_openvino.py`` does, for a model and batches in memory."""
    import nncf
    import openvino as ov

    from nc_sigopt_strategy.hosts.openvino.names import give_stable_names

    model = model.clone()
    give_stable_names(model)
    items = [array[i : i + 1] for array, _ in data for i in range(len(array))]
    if recipe["items"] == "batches":
        items = [array for array, _ in data]
    names = recipe["ignored_scope"]
    if recipe["quantized"]:
        model = nncf.quantize(
            model,
            nncf.Dataset(list(islice(items, recipe["subset_size"]))),
            subset_size=recipe["subset_size"],
            ignored_scope=nncf.IgnoredScope(names=names, validate=False),
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.xml")
        ov.serialize(model, str(path))
        tree = ElementTree.parse(path)
        for layer in tree.getroot().find("layers") or ():
            if layer.get("name") in recipe["keep_precision"]:
                noted = ElementTree.Element("rt_info")
                ElementTree.SubElement(noted, "attribute", name="precise", version="0")
                layer.insert(0 if layer.find("data") is None else 1, noted)
        weights = path.with_suffix(".bin").read_bytes()
        import numpy as np

        return ov.Core().read_model(
            ElementTree.tostring(tree.getroot()), ov.Tensor(np.frombuffer(weights, np.uint8))
        )
