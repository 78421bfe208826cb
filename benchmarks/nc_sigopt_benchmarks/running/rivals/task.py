"""What a rival is asked to make, and what it made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.runtimes.data_files import DataFiles
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.opened import open_deployed
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.worker_process import REQUEST_FILE

BUILT_FILE = "built.json"


@dataclass(frozen=True)
class RivalTask:
    """One rival.

    Attributes:
        name: Of the strategy; one of ``config.rivals.RIVALS``.
        kwargs: Its settings, checked.
        model: The FP32 model as its runtime opens it.
        data: What calibrates and evaluates.
        target: Accuracy that must be met, in the metric's own units.
        higher_is_better: Direction of the metric.
        tolerable_loss: What the target came from.
        relative: Whether that is a share of FP32's accuracy.
        timeout: Budget in seconds; 0: none.
        folder: Where its files go.
    """

    name: str
    kwargs: Mapping[str, Any]
    model: Deployed
    data: DataFiles
    target: float
    higher_is_better: bool
    tolerable_loss: float
    relative: bool
    timeout: float
    folder: Path

    module = "nc_sigopt_benchmarks.running.rivals.worker"

    @property
    def python(self) -> str | None:
        """Of the environment that it is made in."""
        return self.model.python

    def met(self, accuracy: float) -> bool:
        """Whether an accuracy meets the bound; equality counts."""
        return accuracy >= self.target if self.higher_is_better else accuracy <= self.target

    def made(self, path: Path, *, suffix: str = "", what: str = "", **options: Any) -> Deployed:
        """A model made of this task's, in the same runtime with the same threads."""
        return dataclasses.replace(
            self.model,
            path=path,
            options={**self.model.options, **options},
            suffix=suffix,
            what=what,
        )

    def accuracy(self, made: Deployed) -> float:
        """What the evaluation says of a model, opened in this process."""
        return self.data.accuracy(open_deployed(made))

    def write(self) -> Path:
        """Write the request into the folder and return its path."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain.update(model=self.model.to_json(), data=self.data.to_json(), folder=str(self.folder))
        return write_whole(self.folder / REQUEST_FILE, json.dumps(plain, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> RivalTask:
        """The inverse of ``write``."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw.update(
            model=Deployed.from_json(raw["model"]),
            data=DataFiles.from_json(raw["data"]),
            folder=Path(raw["folder"]),
        )
        return cls(**raw)


@dataclass(frozen=True)
class Built:
    """What a rival made.

    Attributes:
        models: One or more ways to run what it made; each is a row.
        note: What a reader should know of how it went; empty if nothing.
        seconds: Wall time, without imports.
    """

    models: tuple[Deployed, ...]
    note: str = ""
    seconds: float = field(default=0.0)

    def write(self, folder: Path) -> Path:
        """Write ``built.json``."""
        plain = {**vars(self), "models": [model.to_json() for model in self.models]}
        return write_whole(folder / BUILT_FILE, json.dumps(plain, indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Built | None:
        """The inverse of ``write``; ``None`` where there is none."""
        path = folder / BUILT_FILE
        if not path.is_file():
            return None
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**raw, "models": tuple(map(Deployed.from_json, raw["models"]))})
