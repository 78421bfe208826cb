"""Profiles of whole models, as a recording keeps them: what each op takes in one type throughout.

A run's latency probes profile FP32, bf16 and the default int8 model; a recording does the same on
the same models, so that a race tells a sampler times with the errors that real ones have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

KIND = "profile"
BF16 = "bf16"
Labels = tuple[str, ...]


@dataclass(frozen=True)
class RecordedProfile:
    """What the ops of one model took, by the framework's own profiler.

    Attributes:
        origin: Which model it is, such as ``all bf16``.
        labels: One per parameter, in the header's order.
        batch_size: Inputs per batch.
        seconds: Per parameter what its op took, at least 0; ``None`` where the profiler does not
            tell.
        total: Of all that ran, in seconds, above 0.
    """

    origin: str
    labels: Labels
    batch_size: int
    seconds: tuple[float | None, ...]
    total: float

    @property
    def shares(self) -> tuple[float | None, ...]:
        """Per parameter the share of the whole that its op took."""
        return tuple(None if took is None else took / self.total for took in self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Plain data, which ``from_json`` reads."""
        return {
            "kind": KIND,
            "origin": self.origin,
            "labels": list(self.labels),
            "batch_size": self.batch_size,
            "seconds": [None if took is None else _rounded(took) for took in self.seconds],
            "total": _rounded(self.total),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> RecordedProfile:
        """The inverse of ``to_json``, but for digits that mean nothing.

        Raises:
            KeyError: Something is missing.
            TypeError: Something is of another type.
            ValueError: Seconds and labels are not as many, or a time is below 0.
        """
        seconds = tuple(None if took is None else float(took) for took in plain["seconds"])
        total, labels = float(plain["total"]), tuple(plain["labels"])
        if len(seconds) != len(labels) or total <= 0 or any((took or 0) < 0 for took in seconds):
            raise ValueError(f"a profile of {len(labels)} ops has the times {list(seconds)}")
        return cls(str(plain["origin"]), labels, int(plain["batch_size"]), seconds, total)


class Profiles(Protocol):
    """What profiles one configuration; ``Bench`` does."""

    def profile(self, origin: str, labels: Labels) -> list[RecordedProfile]:
        """One profile for each batch size; none where the framework does not tell."""
        ...


class KeepsProfiles(Protocol):
    """What keeps profiles; a ``LandscapeWriter`` does."""

    @property
    def profiles(self) -> tuple[RecordedProfile, ...]:
        """Those that there are."""
        ...

    def add_profile(self, profile: RecordedProfile) -> None:
        """Keep another one."""
        ...


def profiled_models(parameters: Mapping[str, Labels], default: Labels) -> dict[str, Labels]:
    """The models that a run profiles, by what they are called; each once.

    Args:
        parameters: Name to values, in graph order, the most precise last.
        default: Label of each parameter in the default int8 configuration, same order.
    """
    exact = tuple(values[-1] for values in parameters.values())
    in_bf16 = tuple(BF16 if BF16 in values else values[-1] for values in parameters.values())
    named = {"all at their most precise": exact, "bf16 where it can be": in_bf16}
    found: dict[str, Labels] = {}
    for name, labels in (*named.items(), ("default", default)):
        if labels not in found.values():
            found[name] = labels
    return found


def profile_missing(
    models: Mapping[str, Labels],
    writer: KeepsProfiles,
    bench: Profiles,
    done: Callable[[RecordedProfile], None],
) -> None:
    """Profile and write what the file does not have yet.

    Args:
        models: Origin to labels.
        writer: The open file.
        bench: Profiles one.
        done: Gets each new profile.
    """
    for origin, labels in models.items():
        if any(profile.labels == labels for profile in writer.profiles):
            continue
        for profile in bench.profile(origin, labels):
            writer.add_profile(profile)
            done(profile)


def _rounded(seconds: float) -> float:
    """To a profiler's digits."""
    return float(f"{seconds:.4g}")
