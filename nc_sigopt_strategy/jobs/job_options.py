"""What a command line says about a job, beside the file that names it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.files import parse_json


@dataclass(frozen=True)
class JobOptions:
    """What is said beside the file; ``None`` and what is empty were not said.

    Attributes:
        output: Folder of the run folder.
        label: Which of the strategies in the file.
        data: A Python file with calibration data and evaluation.
        host: Name of the host that tunes a model; ``auto`` for all that are installed.
        inputs: Names of the model's inputs.
        outputs: Names of the model's outputs.
        loss: Relative loss of accuracy that is tolerable.
        timeout: Budget in seconds.
        max_trials: Budget in trials.
        settings: ``strategy_kwargs``.
    """

    output: Path | None = None
    label: str | None = None
    data: Path | None = None
    host: str | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    loss: float | None = None
    timeout: int | None = None
    max_trials: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of_a_model(self) -> dict[str, Any]:
        """Options by which a model file is tuned and that were given, by name."""
        values = {
            "--data": self.data,
            "--host": self.host,
            "--inputs": ",".join(self.inputs),
            "--outputs": ",".join(self.outputs),
            "--loss": self.loss,
            "--timeout": self.timeout,
            "--max-trials": self.max_trials,
            "--set": ", ".join(self.settings),
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def as_arguments(self) -> list[str]:
        """What a command line says for the same job, the label left out."""
        said = self.of_a_model()
        said.pop("--set", None)
        words = [word for name, value in said.items() for word in (name, str(value))]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return words

    def to_json(self) -> dict[str, Any]:
        """Plain data of what was said."""
        said = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if value not in (None, (), {})
        }
        plain: dict[str, Any] = json.loads(json.dumps(said, default=str))
        return plain

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> JobOptions:
        """The inverse of ``to_json``."""
        values = dict(raw)
        for name in ("output", "data"):
            if name in values:
                values[name] = Path(values[name])
        for name in ("inputs", "outputs"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)


def parsed_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` as ``strategy_kwargs``: a value is JSON where it can be, else text.

    Raises:
        SettingsError: One is no such pair, or a key is there twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SettingsError(
                f"--set {pair} is not KEY=VALUE.", "For example: --set search_space=full."
            )
        if key in settings:
            raise SettingsError(f"--set gives {key} twice.", "Leave one of the two out.")
        try:
            settings[key] = parse_json(text)
        except ValueError:
            settings[key] = text
    return settings
