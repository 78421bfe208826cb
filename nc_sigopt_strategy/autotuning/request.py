"""What is asked of a tuning run, whichever host does it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.settings.settings import Settings

DEFAULT_TRIALS = 100


@dataclass(frozen=True)
class Share:
    """A budget, or what a runtime gets of one.

    Attributes:
        max_trials: Observation budget; at least 1.
        timeout_seconds: 0 leaves the end to ``max_trials``.
    """

    max_trials: int = DEFAULT_TRIALS
    timeout_seconds: float = 0.0

    def __post_init__(self) -> None:
        trials: Any = self.max_trials
        if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
            raise SettingsError(
                f"max_trials must be a whole number of at least 1, but is {trials!r}.",
                "It is how many models are tried at most.",
            )
        seconds: Any = self.timeout_seconds
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds < math.inf:
            raise SettingsError(
                f"timeout must be a number of seconds of at least 0, but is {seconds!r}.",
                "0 means no limit; ten minutes are 600.",
            )


@dataclass(frozen=True)
class Place:
    """Where a run leaves its files.

    Attributes:
        folder: Run folder, absolute.
        settings: Further settings, which take precedence over the request's.
    """

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    def inside(self, name: str) -> Place:
        """A folder of the run folder."""
        return Place(self.folder / name, self.settings)

    def continuing(self, experiment_id: str | None) -> Place:
        """The same folder, for a run that goes on with an experiment; ``None`` begins one."""
        return Place(self.folder, {**self.settings, "sigopt_experiment_id": experiment_id})


@dataclass(frozen=True)
class Request:
    """A model to tune, and how.

    Attributes:
        given: Model, data, evaluation and criterion.
        settings: As ``Settings.from_kwargs`` takes them.
        budget: For everything.
        clock: Monotonic seconds.
    """

    given: Given
    settings: Mapping[str, Any] = field(default_factory=dict)
    budget: Share = field(default_factory=Share)
    clock: Callable[[], float] = time.monotonic

    def checked_settings(self, **further: Any) -> Settings:
        """The settings with others that take precedence; ``None`` changes nothing.

        Raises:
            SettingsError: A key is unknown, or a value cannot be used.
        """
        given = {key: value for key, value in further.items() if value is not None}
        return Settings.from_kwargs({**self.settings, **given})

    def settings_at(self, place: Place) -> Settings:
        """The settings of a run that leaves its files at a place.

        Raises:
            SettingsError: A key is unknown, or a value cannot be used.
        """
        return self.checked_settings(**{**place.settings, "output_dir": place.folder})
