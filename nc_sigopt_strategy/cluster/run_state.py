"""``ray_run.json``: what a driver that is started again has to know. It holds no secret."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import filelock

from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.errors import ConfigFileError, DataError
from nc_sigopt_strategy.files import read_json, write_whole

STATE_FILE = "ray_run.json"
_LOCK_FILE = "ray_run.lock"
_VERSION = 1
_TARGET_KEY = "config"


class Standing(str, Enum):
    """How a worker of a run stands.

    Waiting to be started, running, done (it ended because the budget is used), stopped (by Ctrl-C
    or because the time is up), or lost: given up after too many failures.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    LOST = "lost"


@dataclass
class RunState:
    """A run on Ray.

    Attributes:
        folder: Run folder.
        target: What names the job; ``config`` in the file.
        label: What of it runs.
        run_id: Marks the actors of this run among others of the cluster.
        max_trials: Budget of the experiment.
        experiment_id: SigOpt's id, once the first worker knows it.
        workers: Each worker's standing by its name.
        finished: Whether ``outcome.json`` says how the run ended.
    """

    folder: Path
    target: Path
    label: str
    max_trials: int
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))
    experiment_id: str | None = None
    workers: dict[str, Standing] = field(default_factory=dict)
    finished: bool = False

    @classmethod
    def begin(
        cls, folder: Path, target: Path, label: str, *, max_trials: int, workers: int
    ) -> RunState:
        """Go on with the run of a folder, or begin one there.

        Workers that ended because the budget was used stay done, unless it was raised since.

        Raises:
            ConfigFileError: The folder holds the run of another job.
            DataError: Its ``ray_run.json`` cannot be read.
        """
        state = cls.read(folder)
        if state is None:
            state = cls(folder, target, label, max_trials)
        if (state.target, state.label) != (target, label):
            raise ConfigFileError(
                f"{folder} holds a run of {state.target} ({state.label}), not of {target} "
                f"({label}).",
                "Leave --resume out to begin another run.",
            )
        same_budget = state.max_trials == max_trials
        state.finished = state.finished and same_budget
        done = {
            name
            for name, standing in state.workers.items()
            if standing is Standing.DONE and same_budget
        }
        state.max_trials = max_trials
        state.workers = {
            name: Standing.DONE if name in done else Standing.WAITING
            for name in (f"worker-{number}" for number in range(1, workers + 1))
        }
        state.write()
        return state

    @classmethod
    def read(cls, folder: Path) -> RunState | None:
        """The state in a run folder; ``None`` if there is none.

        Raises:
            DataError: It cannot be read.
        """
        path = folder / STATE_FILE
        try:
            raw = read_json(path)
            if raw.pop("version") != _VERSION:
                raise ValueError("it is of another version of this package")
            raw["workers"] = {name: Standing(word) for name, word in raw["workers"].items()}
            target = Path(raw.pop(_TARGET_KEY))
            return cls(**{**raw, "folder": folder, "target": target})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} cannot be read: {error}.", "Leave --resume out to begin another run."
            ) from error

    def write(self) -> None:
        """Write ``ray_run.json``."""
        plain = dataclasses.asdict(self)
        del plain["folder"]
        plain[_TARGET_KEY] = plain.pop("target")
        text = json.dumps({"version": _VERSION, **plain}, default=str, indent=2)
        write_whole(self.folder / STATE_FILE, text + "\n")


@contextlib.contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Keep a second driver out of a run folder; the operating system lets go if this one dies.

    Raises:
        RayError: There is another one.
    """
    lock = filelock.FileLock(folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RayError(
            f"Another process drives the run in {folder}.",
            "End it first, or leave --resume out to begin another run.",
        ) from None
    try:
        yield
    finally:
        lock.release()
