"""The schema of run configurations, made from their types: what it checks, what editors read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nc_sigopt_benchmarks.config import run_config
from nc_sigopt_benchmarks.config.rivals import RIVALS
from nc_sigopt_benchmarks.config.run_config import SIGOPT, RunFile
from nc_sigopt_strategy.jobs.sigopt_settings import OWN_KEYS
from nc_sigopt_strategy.settings.schema import attributes, settings_schema

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, Any]:
    """JSON schema of a run configuration's file, with what the docstrings say of each key."""
    schema = adapter().json_schema()
    for name, section in {"RunFile": schema, **schema["$defs"]}.items():
        _described(section, getattr(run_config, name))
    schema["$defs"]["Settings"] = _settings()
    schema["$defs"]["StrategyConfig"]["allOf"] = list(_kwargs_by_strategy())
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
    section["description"] = inspect.cleandoc(declared_by.__doc__ or "").partition("\n")[0]
    said = attributes(declared_by)
    del section["title"]
    for key, declared in section["properties"].items():
        declared["description"] = said[key]
        declared.pop("title", None)
        if declared.get("default", ...) in (None, ""):
            del declared["default"]


def _settings() -> dict[str, Any]:
    """What the sigopt strategy takes in a file; some of it the run itself decides."""
    schema = settings_schema()
    for key in OWN_KEYS:
        del schema["properties"][key]
    return schema


def _kwargs_by_strategy() -> Iterator[dict[str, Any]]:
    """For each strategy whose ``strategy_kwargs`` are known: what they can be."""
    yield _if_named(SIGOPT, {"$ref": "#/$defs/Settings"})
    for name, rival in RIVALS.items():
        choices = {key: {"enum": list(values)} for key, values in rival.choices.items()}
        yield _if_named(name, {"properties": choices, "additionalProperties": False})


def _if_named(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
        "then": {"properties": {"strategy_kwargs": kwargs}},
    }
