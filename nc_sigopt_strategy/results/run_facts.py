"""What a run is, written when it starts: ``run.json``; and whether it is still going on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.files import make_private, read_json, write_whole
from nc_sigopt_strategy.results.process import Holder
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE
from nc_sigopt_strategy.version import __version__

FACTS_FILE = "run.json"
_RUNNING_FILE, _RUNNER_FILE = ".running", ".running_by"
SCHEMA_VERSION = 1
RUNNING, ENDED, DIED = "running", "ended", "died"
# What decides how a model is quantized and how fast it runs.
_PACKAGES = (
    "neural-compressor",
    "tensorflow",
    "tensorflow-cpu",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "torch",
    "torchao",
    "numpy",
)


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before its first trial.

    Attributes:
        model: What the user calls it.
        runtime: Name of the backend that runs the models.
        started: Local time with its offset, in ISO 8601.
        max_trials: Budget in trials.
        timeout_seconds: Budget in seconds; 0 without one.
        criterion: The accuracy criterion in the host's words.
        search_space: See ``SearchSpace.describe``.
        program: The script or command that the process runs; without its arguments, which may
            hold a secret.
        machine: Host name.
        versions: Python, this package and what runs models, by name.
    """

    model: str
    runtime: str
    started: str
    max_trials: int
    timeout_seconds: float
    criterion: str
    search_space: Mapping[str, Any]
    program: str = ""
    machine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def now(cls, **known: Any) -> RunFacts:
        """The facts of a run that starts now, in this process."""
        return cls(
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            program=sys.argv[0] if sys.argv else "",
            machine=platform.node(),
            versions=_versions(),
            **known,
        )

    def write(self, folder: Path) -> Path:
        """Write ``run.json`` into a run folder and return its path."""
        document = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
        return write_whole(folder / FACTS_FILE, json.dumps(document, indent=2) + "\n")

    def ops_of(self, assignments: Mapping[str, str]) -> dict[str, str]:
        """Op name to the label that assignments give it, in the order of the search space."""
        found: dict[str, str] = {}
        for parameter in self.search_space.get("parameters", ()):
            label = assignments.get(parameter["name"])
            if label is not None:
                found.update({name: label for name, _ in parameter["ops"]})
        found.update({name: label for name, _, label in self.search_space.get("fixed", ())})
        return found


def read_facts(folder: Path) -> RunFacts | None:
    """What ``run.json`` of a folder says; ``None`` if there is none that can be read."""
    try:
        raw = read_json(folder / FACTS_FILE)
        known = {f.name for f in dataclasses.fields(RunFacts)}
        return RunFacts(**{key: value for key, value in raw.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


@contextlib.contextmanager
def marked_as_running(folder: Path, name: str = "") -> Iterator[None]:
    """Inside, the run of a folder counts as running; a process that dies lets go of the mark.

    Args:
        folder: Run folder; made if it is not there.
        name: What its worker is called.

    Raises:
        SettingsError: Another run is going on in it.
    """
    mark = folder / _RUNNING_FILE
    lock = FileLock(mark)
    try:
        make_private(folder)
        lock.acquire(timeout=0)
    except Timeout:
        raise _in_use(folder) from None
    except (OSError, NotImplementedError):
        # Its disk knows no locks.
        yield
        return
    Holder.now(name).write(folder / _RUNNER_FILE)
    try:
        yield
    finally:
        # In this order: who looks in between takes the run for ended, not for dead.
        for file in (folder / _RUNNER_FILE, mark):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        # Where the user's code has closed it, it is let go of already.
        with contextlib.suppress(OSError):
            lock.release()


def refuse_if_running(folder: Path) -> None:
    """Two runs in one folder would have one name and one best model.

    Raises:
        SettingsError: A run is going on in this folder.
    """
    mark = folder / _RUNNING_FILE
    if mark.exists() and _is_held(mark):
        raise _in_use(folder)


def _in_use(folder: Path) -> SettingsError:
    holder = Holder.read(folder / _RUNNER_FILE)
    who = "another run" if holder is None else f"the run of {holder}"
    return SettingsError(
        f"The folder {folder} is in use by {who}.",
        "Wait for its end, or give this run an output_dir of its own.",
    )


def state_of(folder: Path) -> str:
    """``running``, ``ended`` or ``died``."""
    mark, outcome, facts = (folder / n for n in (_RUNNING_FILE, OUTCOME_FILE, FACTS_FILE))
    if mark.exists() and _is_held(mark):
        return RUNNING
    try:
        # An outcome from before the run started is of another one in the same folder.
        ended = outcome.stat().st_mtime_ns >= facts.stat().st_mtime_ns
    except FileNotFoundError:
        ended = outcome.exists()
    return ENDED if ended else DIED


def _is_held(mark: Path) -> bool:
    lock = FileLock(mark)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version(), "nc_sigopt_strategy": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
