"""What a worker's process is asked to do, and what it leaves about its end."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE, REQUEST_FILE
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE
from nc_sigopt_strategy.tuning.run_folder import EXPERIMENT_FILE

# Exit codes of a worker's process.
IN_ORDER, WITH_ERROR, INTERRUPTED = 0, 1, 130
# Who decides among the trials of all workers.
LAST_WORKER = "last"
# Errors that the same worker would meet again.
_LASTING = (
    "ConfigFileError",
    "SettingsError",
    "ModelError",
    "DataError",
    "MissingExtraError",
    "UnsupportedVersionError",
)


@dataclass(frozen=True)
class WorkerRequest:
    """One start of one worker. It holds no secret: those come in the environment.

    Attributes:
        target: What names the job, at the same place on every node.
        worker: The worker's name.
        workers: How many there are.
        folder: The worker's run folder on its node.
        working_folder: What relative paths start at.
        experiment_id: What it joins; ``None``: what its folder names, else it creates one.
        calibration_cache: Where it keeps calibration statistics; ``None``: as its settings say.
        timeout: Seconds that are left of the budget; 0 leaves the end to the trials.
        no_new_trials: Whether it only decides among the trials that there are.
        options: What is said of the job beside ``target``.
    """

    target: Path
    worker: str
    workers: int
    folder: Path
    working_folder: Path
    experiment_id: str | None = None
    calibration_cache: Path | None = None
    timeout: int = 0
    no_new_trials: bool = False
    options: JobOptions = field(default_factory=JobOptions)

    def write(self) -> Path:
        """Write it into the folder, which is made, and return the file's path."""
        plain = {**dataclasses.asdict(self), "options": self.options.to_json()}
        text = json.dumps(plain, default=str, indent=2)
        return write_whole(self.folder / REQUEST_FILE, text + "\n")

    @classmethod
    def read(cls, path: Path) -> WorkerRequest:
        """The inverse of ``write``."""
        values = json.loads(path.read_text(encoding="utf-8"))
        for key in ("target", "folder", "working_folder", "calibration_cache"):
            values[key] = None if values[key] is None else Path(values[key])
        return cls(**{**values, "options": JobOptions.from_json(values["options"])})


@dataclass(frozen=True)
class WorkerStatus:
    """How a worker's process is doing.

    Attributes:
        running: Whether it runs.
        exit_code: How it ended; minus the signal's number when one ended it.
        experiment_id: What it works on, once it knows.
        evaluated: How many models of trials its folder has evaluations of.
        stop_reason: Why it ended, if it did so in order.
        error: What ended it, if it said so.
        lasting: Whether it would meet the same error again.
    """

    running: bool
    exit_code: int | None = None
    experiment_id: str | None = None
    evaluated: int = 0
    stop_reason: str | None = None
    error: str | None = None
    lasting: bool = False

    @classmethod
    def of(cls, folder: Path, exit_code: int | None) -> WorkerStatus:
        """What a worker's folder says.

        Args:
            folder: The worker's.
            exit_code: Of its process; ``None`` while it runs.
        """
        ended = exit_code is not None
        error = _read(folder / ERROR_FILE) if ended else None
        outcome = _read(folder / OUTCOME_FILE) if ended else None
        experiment = _read(folder / EXPERIMENT_FILE)
        return cls(
            running=exit_code is None,
            exit_code=exit_code,
            experiment_id=None if experiment is None else str(experiment["experiment_id"]),
            evaluated=sum(event["trial"] > 0 for event in read_events(folder)),
            stop_reason=None if outcome is None else str(outcome["stop_reason"]),
            error=None if error is None else f"{error['kind']}: {error['message']}",
            lasting=error is not None and error["kind"] in _LASTING,
        )


def _read(path: Path) -> dict[str, Any] | None:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return raw
