"""A model made from a recipe, by the script that users are given."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import INPUT_NAME, OUTPUT_NAME

_SCRIPT = Path(__file__).parents[3] / "examples" / "recipes" / "rebuild_inc3.py"


def rebuilt_from(model: Path, loader: Any, recipe: Mapping[str, Any]) -> Any:
    """Neural Compressor's model object of a recipe of the small model."""
    spec = importlib.util.spec_from_file_location("rebuild_inc3", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.rebuild(model, (INPUT_NAME, OUTPUT_NAME), recipe, loader)
