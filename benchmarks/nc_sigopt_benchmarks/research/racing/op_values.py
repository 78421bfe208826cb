"""Value positions of a landscape by type: int8, bf16, fp32."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices, Landscape

# INC's order of fallback (strategy/utils/constant.py, PRECISION_LIST).
FLOATING = ("bf16", "fp16", "fp32")


class OpValues:
    """Where the values of each parameter stand, and what configurations they make.

    Attributes:
        default: Value positions of the default int8 configuration, shape (parameters,).
        op_types: Type of each parameter's op, "" where the landscape has none.
        names: Parameter names, in graph order.
    """

    def __init__(self, landscape: Landscape) -> None:
        self.default = landscape.default
        self.names = tuple(landscape.parameters)
        self._values = tuple(landscape.parameters.values())
        types = _op_types(landscape.op_graph)
        self.op_types = tuple(types.get(name, "") for name in self.names)

    def position(self, op: int, label: str) -> int | None:
        """Where a label stands among an op's values."""
        values = self._values[op]
        return values.index(label) if label in values else None

    def int8_labels(self, op: int) -> tuple[str, ...]:
        """The op's int8 variants, the default one first."""
        default = self._values[op][self.default[op]]
        others = [v for v in self._values[op] if v.startswith("int8") and v != default]
        return (default, *others) if default.startswith("int8") else tuple(others)

    def quantized(self) -> tuple[int, ...]:
        """Ops that the default runs in int8, in graph order."""
        return tuple(
            op
            for op, values in enumerate(self._values)
            if values[self.default[op]].startswith("int8")
        )

    def with_label(self, choice: Choices, ops: Iterable[int], label: str) -> Choices:
        """A configuration with some ops at a label; ops that lack it keep their value."""
        changed = choice.copy()
        for op in ops:
            position = self.position(op, label)
            if position is not None:
                changed[op] = position
        return changed

    def floating(self, op: int) -> tuple[str, ...]:
        """The floating-point types that an op has, in INC's order of fallback."""
        return tuple(label for label in FLOATING if label in self._values[op])

    def back(self, choice: Choices, ops: Iterable[int]) -> Choices:
        """A configuration with some ops at their default value."""
        changed = choice.copy()
        for op in ops:
            changed[op] = self.default[op]
        return changed


def _op_types(op_graph: Mapping[str, Any]) -> dict[str, str]:
    return {
        str(entry["name"]): str(entry.get("op_type", ""))
        for entry in (op_graph or {}).get("parameters", ())
    }
