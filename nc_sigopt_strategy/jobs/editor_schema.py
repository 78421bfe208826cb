"""The JSON schema by which editors complete and check a run configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

# Entry points of this group are named as those of ``nc_sigopt.jobs``, like a file's suffix. Each
# is a function without arguments that returns the JSON schema of such files.
JOB_SCHEMAS = "nc_sigopt.schemas"
SCHEMA_FILE = "nc-sigopt.schema.json"


def pointer_to(schema: str) -> str:
    """First line of a YAML file, by which the YAML language server of editors finds its schema.

    Args:
        schema: Name of the file beside it.
    """
    return f"# yaml-language-server: $schema={schema}\n"


def schema_text() -> str | None:
    """The schema of YAML run configurations, as text; ``None`` where nothing here reads those."""
    for found in entry_points(group=JOB_SCHEMAS, name="yaml"):
        make: Callable[[], dict[str, Any]] = found.load()
        return json.dumps(make(), indent=2) + "\n"
    return None
