"""The example that rebuilds a model from its recipe, run on a model and batches in memory."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[3] / "examples" / "recipes" / "rebuild_openvino.py"


def rebuilt_from(model: Any, data: Any, recipe: Mapping[str, Any]) -> Any:
    """What ``examples/recipes/rebuild_openvino.py`` makes of a recipe, read from its file."""
    import openvino as ov

    spec = importlib.util.spec_from_file_location("rebuild_openvino", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    items = [array for array, _ in data]
    if recipe["items"] == "inputs":
        items = [array[i : i + 1] for array in items for i in range(len(array))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "best.xml")
        example.rebuild(model.clone(), items, recipe, path)
        weights = path.with_suffix(".bin").read_bytes()
        import numpy as np

        return ov.Core().read_model(
            path.read_bytes(), ov.Tensor(np.frombuffer(weights, np.uint8).copy())
        )
