"""The example that rebuilds a model from its recipe, run on a module in memory."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[3] / "examples" / "recipes" / "rebuild_torch.py"


def rebuilt_from(graph: Any, data: Any, recipe: Mapping[str, Any]) -> Any:
    """What ``examples/recipes/rebuild_torch.py`` makes of a recipe, read from its file."""
    import torch

    spec = importlib.util.spec_from_file_location("rebuild_torch", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    batches = []
    for batch, _ in data:
        parts = batch.values() if isinstance(batch, dict) else [batch]
        batches.append([torch.from_numpy(part) for part in parts])
    return example.rebuild(copy.deepcopy(graph), batches, recipe)
