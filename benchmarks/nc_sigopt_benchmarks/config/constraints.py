"""What annotated types say of their values: for pydantic, which is not imported before it checks.

Each class here stands in ``Annotated[type, ...]``. Pydantic asks it for the core schema of what it
annotates; see https://docs.pydantic.dev/latest/concepts/types/#customizing-validation-with-\
__get_pydantic_core_schema__. Bounds of numbers are those of ``annotated_types``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from nc_sigopt_strategy.settings.choices import MAX_SEED, MAX_WHOLE

CoreSchema = Any
Handler = Callable[[Any], CoreSchema]


class Refined:
    """The annotated type's own schema with more in it, by pydantic's names."""

    def __init__(self, **further: Any) -> None:
        self._further = further

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        return {**handler(source), **self._further}


class OneOf:
    """One of a few texts or numbers, which need not be known to the type checker."""

    def __init__(self, *choices: Any) -> None:
        self._choices = list(choices)

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        return {"type": "literal", "expected": self._choices}


class OnlyGiven:
    """A key that may be left out, where the type has ``None``, but not be given empty."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class ListOf:
    """A list, of at least one item, that becomes a tuple.

    Args:
        item: Type of the items.
    """

    def __init__(self, item: Any) -> None:
        self._item = item

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        items = handler.generate_schema(self._item)
        return core_schema.no_info_after_validator_function(
            tuple, core_schema.list_schema(items, min_length=1, strict=True)
        )


class AnyMapping:
    """A mapping with text for keys, whatever is in it: it is checked elsewhere."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Handler) -> CoreSchema:
        return {"type": "dict", "keys_schema": {"type": "str", "strict": True}, "strict": True}


@dataclass(frozen=True)
class Converted:
    """A text that a function turns into what is meant.

    Attributes:
        function: Takes the text and pydantic's validation context; raises ``ValueError``.
    """

    function: Callable[[str, Mapping[str, Any]], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_after_validator_function(
            lambda text, info: self.function(text, info.context or {}),
            core_schema.str_schema(strict=True, min_length=1),
        )


A_MAPPING = AnyMapping()
STRICT = Refined(strict=True)
Text = Annotated[str, Refined(strict=True, min_length=1)]
Flag = Annotated[bool, STRICT]
Whole = Annotated[int, STRICT, Ge(0), Le(MAX_WHOLE)]
Counted = Annotated[int, STRICT, Ge(1), Le(MAX_WHOLE)]
Seed = Annotated[int, STRICT, Ge(0), Le(MAX_SEED)]
Number = Annotated[float, Refined(strict=True, allow_inf_nan=False), Ge(0)]
Positive = Annotated[float, Refined(strict=True, allow_inf_nan=False), Gt(0)]
