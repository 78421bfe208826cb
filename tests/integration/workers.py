"""Workers as processes of their own, each with a run folder, on one experiment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.tuning.run_folder import EXPERIMENT_FILE

# The evaluation sleeps, so that trials of two workers would overlap if they could; it notes when
# it began and ended, and can kill the process in the middle.
_PROGRAM = """
import json, os, sys, time
import numpy as np
from pathlib import Path
import nc_sigopt_strategy
from tests.conftest import INPUT_NAME, OUTPUT_NAME, Loader
from tests.integration.fitting import configure, fit

request = json.loads(sys.argv[1])
folder = Path(request["folder"])
(folder / "ready").touch()
while request["start"] and not os.path.exists(request["start"]):
    time.sleep(0.05)
images, labels = np.load(request["images"]), np.load(request["labels"])
calls = 0

def accuracy(graph):
    import tensorflow as tf
    global calls
    calls += 1
    begun = time.time()
    with tf.compat.v1.Session(graph=graph) as session:
        logits = session.run(OUTPUT_NAME + ":0", {INPUT_NAME + ":0": images})
    if calls == request["die_at"]:
        os.kill(os.getpid(), 9)
    while calls == 2 and request["gate"] and not os.path.exists(request["gate"]):
        time.sleep(0.05)
    time.sleep(request["sleep"])
    with open(folder / "evaluations.jsonl", "a") as notes:
        notes.write(json.dumps([begun, time.time()]) + "\\n")
    return float((logits.argmax(axis=1) == labels).mean())

conf = configure(folder, request["kwargs"], loss=0.9, max_trials=request["max_trials"])
found = fit(Path(request["model"]), conf, Loader(images, labels), accuracy)
sys.exit(0 if found is not None else 1)
"""


class WorkerProcess:
    """One worker.

    Args:
        folder: For all that it writes; made when missing.
        model: What is tuned.
        data: Images and labels.
        kwargs: ``strategy_kwargs``.
        max_trials: Budget of the experiment.
        die_at: Evaluation in which it kills itself; 1 is the baseline, 0 is never.
        sleep: Seconds that an evaluation takes longer.
        gate: The first trial's evaluation ends only when this file is there.
        start: It has imported everything, and begins only when this file is there.
    """

    def __init__(
        self,
        folder: Path,
        model: Path,
        data: tuple[np.ndarray, np.ndarray],
        kwargs: dict[str, Any],
        *,
        max_trials: int,
        die_at: int = 0,
        sleep: float = 0.0,
        gate: Path | None = None,
        start: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        images, labels = folder / "images.npy", folder / "labels.npy"
        np.save(images, data[0])
        np.save(labels, data[1])
        request = {
            "folder": str(folder),
            "model": str(model),
            "images": str(images),
            "labels": str(labels),
            "kwargs": {"latency_repeats": 4, **kwargs},
            "max_trials": max_trials,
            "die_at": die_at,
            "sleep": sleep,
            "gate": None if gate is None else str(gate),
            "start": None if start is None else str(start),
        }
        self._ready = folder / "ready"
        self._ready.unlink(missing_ok=True)
        self._log = folder / "log.txt"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, json.dumps(request)],
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
            )

    def until_ready(self) -> None:
        """Wait until it has imported everything."""
        for _ in range(3000):
            if self._ready.exists():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"the worker did not start: {self.log[-3000:]}")

    def experiment_id(self) -> str:
        """The experiment's id, once the worker has begun or joined it."""
        path = self.folder / "run" / EXPERIMENT_FILE
        for _ in range(3000):
            if path.exists():
                return str(json.loads(path.read_text())["experiment_id"])
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"no experiment was begun: {self.log[-3000:]}")

    def wait(self, expected: int = 0) -> None:
        """Wait for its end, which must be this one."""
        code = self.process.wait(300)
        assert code == expected, self.log[-3000:]

    def kill(self) -> None:
        """Kill it as ``kill -9`` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def outcome(self) -> Outcome:
        return read_outcome(self.folder / "run")

    @property
    def trials(self) -> list[TrialRecord]:
        return read_trials(self.folder / "run")

    @property
    def evaluations(self) -> list[tuple[float, float]]:
        """When evaluations began and ended, the baseline's included."""
        path = self.folder / "evaluations.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]
