"""The settings as JSON schema, for editors: made from what declares, checks and explains them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.settings.settings import CHECKS, Settings

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def settings_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of ``strategy_kwargs`` in a file, where functions cannot be."""
    defaults = {declared.name: declared.default for declared in dataclasses.fields(Settings)}
    said = attributes(Settings)
    return {
        "type": "object",
        "description": "Settings of the sigopt strategy.",
        "additionalProperties": False,
        "properties": {
            key: {**_or_none(check.schema), **_default(defaults[key]), "description": said[key]}
            for key, check in CHECKS.items()
            if check.schema is not None
        },
    }


def attributes(declared_by: type) -> dict[str, str]:
    """What the docstring of a class says of its attributes, each in one line of Markdown."""
    text = inspect.cleandoc(declared_by.__doc__ or "").replace("``", "`")
    return {name: " ".join(said.split()) for name, said in _ATTRIBUTE.findall(text)}


def _or_none(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that takes null too, which stands for the default of every setting."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    types = schema["type"]
    return {**schema, "type": [*([types] if isinstance(types, str) else types), "null"]}


def _default(value: Any) -> dict[str, Any]:
    return {"default": value} if isinstance(value, (bool, int, float, str)) else {}
