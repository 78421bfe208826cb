"""The schema of run configurations, made from their types: what it checks, what editors read."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nc_sigopt_benchmarks.config import run_config
from nc_sigopt_benchmarks.config.run_config import RunFile

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def config_schema() -> dict[str, Any]:
    """JSON schema of a run configuration's file, with what the docstrings say of each key."""
    schema = adapter().json_schema()
    for name, section in {"RunFile": schema, **schema["$defs"]}.items():
        _described(section, getattr(run_config, name))
    return {"$schema": _DIALECT, **schema, "title": "nc-sigopt run configuration"}


@functools.cache
def _as_declared() -> dict[str, Any]:
    return adapter().json_schema()


@functools.cache
def adapter() -> TypeAdapter[RunFile]:
    """What checks the values of a file; pydantic is imported here, for most commands read none."""
    from pydantic import TypeAdapter

    return TypeAdapter(RunFile)


def declared(key: Sequence[str | int]) -> dict[str, Any]:
    """The part of the schema that the value of a key is checked against.

    Args:
        key: Its path; the schema knows it.
    """
    schema = _as_declared()
    part = schema
    for name in key:
        part = part["items"] if isinstance(name, int) else part["properties"][name]
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return part


def _described(section: dict[str, Any], declared_by: type) -> None:
    """A section with its own docstring's words, without the titles that its names make."""
    text = inspect.cleandoc(declared_by.__doc__ or "").replace("``", "`")
    section["description"] = text.partition("\n")[0]
    attributes = dict(_ATTRIBUTE.findall(text))
    del section["title"]
    for key, declared in section["properties"].items():
        declared["description"] = " ".join(attributes[key].split())
        declared.pop("title", None)
        if declared.get("default", ...) in (None, ""):
            del declared["default"]
