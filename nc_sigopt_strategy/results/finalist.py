"""What a run says of each model that it might have returned."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.results.interval import Interval


@dataclass(frozen=True)
class Finalist:
    """A model that met the bound and was looked at more closely at the end.

    Attributes:
        trial: Number of its trial.
        accuracy: What the evaluation returned.
        latency_seconds: As its trial measured it.
        speedup: FP32's latency over its own, timed side by side; ``None`` if it was not.
        bound_probability: That it keeps the bound on other data of the kind that it was evaluated
            on; ``None`` where nobody can say.
        data_to_settle: How many times as much data would say whether it does; ``None`` where
            that is settled or nobody can say.
        difference: Its accuracy less FP32's, with an interval from the inputs that the two answer
            differently; ``None`` where the evaluation does not speak of single inputs.
        inputs: How many inputs it was evaluated on; ``None`` as above.
        confirmed_accuracy: What ``confirm_func`` returned; ``None`` if it was not asked.
        passed_over: Why it was not returned although it was the fastest; else empty.
    """

    trial: int
    accuracy: float | None
    latency_seconds: float | None
    speedup: Interval | None = None
    bound_probability: float | None = None
    data_to_settle: float | None = None
    difference: Interval | None = None
    inputs: int | None = None
    confirmed_accuracy: float | None = None
    passed_over: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Finalist:
        """The inverse of ``dataclasses.asdict``; unknown keys of later versions are dropped."""
        known = {f.name for f in dataclasses.fields(cls)}
        values = {key: value for key, value in raw.items() if key in known}
        for name in ("speedup", "difference"):
            if values.get(name) is not None:
                values[name] = Interval(**values[name])
        return cls(**values)
