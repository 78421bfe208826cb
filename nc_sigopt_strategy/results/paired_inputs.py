"""How a model and FP32 differ on single inputs of the evaluation, as counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

# Before the names of the counts in an observation's metadata.
_PREFIX = "paired_"
# More inputs than this nobody evaluates.
_MOST = 10**15


@dataclass(frozen=True)
class PairedInputs:
    """The counts of one trial.

    Attributes:
        inputs: How many inputs were evaluated.
        of: How many there are.
        higher: On how many of them the model scored higher than FP32.
        lower: On how many lower.
    """

    inputs: int
    of: int
    higher: int
    lower: int

    @property
    def turned(self) -> int:
        """On how many they differ."""
        return self.higher + self.lower

    @property
    def ended_early(self) -> bool:
        """Whether the evaluation was ended before its data did."""
        return self.inputs < self.of

    def as_metadata(self) -> dict[str, int]:
        """The counts as an observation's metadata."""
        return {_PREFIX + name: count for name, count in asdict(self).items()}

    @classmethod
    def in_metadata(cls, metadata: Mapping[str, Any]) -> PairedInputs | None:
        """The counts in metadata; ``None`` where any is missing: any program may write there."""
        counts = [metadata.get(_PREFIX + field.name) for field in fields(cls)]
        if not all(
            isinstance(count, (int, float)) and not isinstance(count, bool) and 0 <= count < _MOST
            for count in counts
        ):
            return None
        return cls(*(int(count or 0) for count in counts))
