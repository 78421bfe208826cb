"""Starting a worker, drawing its progress, telling it to stop."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.runtimes.own_process import start
from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.console.progress import TuningProgress
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.jobs.worker_process import (
    ERROR_FILE,
    GRACE_SECONDS,
    SAVING_SECONDS,
)

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class ChildEnd:
    """How a worker's process ended.

    Attributes:
        failure: One line on what went wrong; ``None`` when it wrote its outcome.
        interrupted: Whether Ctrl-C ended it.
        wrong_use: Whether the failure is one of our own errors, which the user can mend.
        crash: The way through the user's own code, where the failure is of that.
    """

    failure: str | None = None
    interrupted: bool = False
    wrong_use: bool = False
    crash: str | None = None


class Request(Protocol):
    """What a process is asked to do.

    Attributes:
        folder: Where its record goes; it exists.
        module: What the process runs; it gets the path of the request.
        python: The interpreter; ``None``: this one.
    """

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def module(self) -> str: ...  # noqa: D102
    @property
    def python(self) -> str | None: ...  # noqa: D102

    def write(self) -> Path:
        """Write it into the folder and return its path."""
        ...


def run_child(
    request: Request, config: RunConfig, run: PlannedRun, *, progress: bool | None
) -> ChildEnd:
    """Run one worker to its end, with a live progress bar of its trials.

    Args:
        request: What it is to do.
        config: The run configuration.
        run: The same as in the request.
        progress: As ``TuningProgress``'s ``enabled``.
    """
    path = str(request.write())
    bar = TuningProgress(
        run.label,
        max_trials=run.max_trials,
        timeout_seconds=run.timeout,
        enabled=progress,
    )
    # For appending: the strategy in there may write lines of its own to the same file.
    with (request.folder / LOG_FILE).open("ab") as log, bar:
        process = start(request.module, path, python=request.python, log=log)
        try:
            overdue = _follow(process, request.folder, config, run, bar)
        except KeyboardInterrupt:
            bar.message(f"Interrupted; {run.label} saves what it has (Ctrl-C again: at once).")
            _stop(process)
            return ChildEnd(interrupted=True)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    return _end(process.returncode, overdue, request.folder)


def _follow(
    process: subprocess.Popen[bytes],
    folder: Path,
    config: RunConfig,
    run: PlannedRun,
    bar: TuningProgress,
) -> bool:
    """Show each event until the process ends; returns whether it had to be stopped."""
    started = time.monotonic()
    limit = run.timeout + GRACE_SECONDS if run.timeout else None
    higher = config.accuracy_criterion.higher_is_better
    shown = 0
    while True:
        ended = process.poll() is not None
        events = read_events(folder)
        for position in range(shown, len(events)):
            show_event(bar, events[: position + 1], higher_is_better=higher)
        shown = len(events)
        if ended:
            return False
        if limit is not None and time.monotonic() - started > limit:
            bar.message(f"No end {GRACE_SECONDS:.0f} s after its budget; it is being stopped.")
            _stop(process)
            return True
        time.sleep(POLL_SECONDS)


def show_event(
    bar: TuningProgress, events: list[dict[str, Any]], *, higher_is_better: bool
) -> None:
    """Show the last of ``events`` on a progress bar."""
    event = events[-1]
    accuracy = event["accuracy"]
    if event["trial"] == 0:
        bar.message(f"FP32 baseline accuracy {accuracy}")
        return
    trials = [other for other in events if other["trial"] and other["accuracy"] is not None]
    note = "no accuracy" if accuracy is None else f"last {accuracy:.4f}"
    bar.trial_done(event["trial"], _best_text(trials, higher_is_better), note=note)


def _best_text(trials: list[dict[str, Any]], higher_is_better: bool) -> str | None:
    feasible = [trial for trial in trials if trial["meets_bound"]]
    if feasible:
        best = min(feasible, key=lambda trial: float(trial["duration_seconds"]))
        return f"{best['accuracy']:.4f}, evaluated in {best['duration_seconds']:.2f} s"
    if not trials:
        return None
    sign = 1 if higher_is_better else -1
    nearest = max(trials, key=lambda trial: sign * float(trial["accuracy"]))
    return f"none (nearest {nearest['accuracy']:.4f})"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the worker to end and give it time to save; a second Ctrl-C ends it at once."""
    with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired, ProcessLookupError):
        process.send_signal(signal.SIGINT)
        process.wait(SAVING_SECONDS)


def _end(code: int, overdue: bool, folder: Path) -> ChildEnd:
    error = folder / ERROR_FILE
    if error.exists():
        raw = json.loads(error.read_text(encoding="utf-8"))
        return ChildEnd(
            f"{raw['kind']}: {raw['message']}",
            wrong_use=bool(raw["wrong_use"]),
            crash=raw.get("crash"),
        )
    if overdue:
        failure = f"it had not ended {GRACE_SECONDS:.0f} s after its budget and was stopped"
    elif code < 0:
        failure = f"its process was ended by signal {signal.Signals(-code).name}"
    elif code:
        failure = f"its process ended with exit code {code}; see {folder.name}/{LOG_FILE}"
    else:
        return ChildEnd()
    return ChildEnd(failure)
