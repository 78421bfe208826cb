"""A worker whose trials take no time: the ordinary program around it, without a model.

``python ray_fake_worker.py REQUEST.json``. A file ``fault`` in its folder makes it fail at a
trial: ``exit N``, ``kill N`` (both once), or ``broken`` (each time, before the first one). Workers
wait for each other, so that each gets a share of the trials, unless the file ``alone`` is there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import filelock
import sigopt

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_strategy.cluster import tune_worker
from nc_sigopt_strategy.cluster.handover import STORAGE_VARIABLE, TOKEN_VARIABLE
from nc_sigopt_strategy.cluster.requests import LAST_WORKER, WorkerRequest
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.jobs.evaluation import read_events
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import write_outcome

TRIAL_SECONDS = 0.1


def connect(storage: str) -> Any:
    driver = EmbeddedDriver(storage)
    return sigopt.Connection(driver=lambda **_: driver)


class FakeWorker:
    def __init__(self, request: WorkerRequest) -> None:
        self.request = request
        self.stopped = ""
        self.lock = filelock.FileLock(request.target.with_name("fake.lock"))
        self.budget = read_config(request.target).tuning.max_trials
        self.connection = connect(os.environ[STORAGE_VARIABLE])
        self.trials = len(read_events(request.folder))
        self.id = request.experiment_id or tune_worker._begun_in(request.folder) or self.create()
        self.note("experiment.json", json.dumps({"experiment_id": self.id}))

    def note(self, name: str, text: str, how: str = "w") -> None:
        with (self.request.folder / name).open(how) as stream:
            stream.write(text)

    def create(self) -> str:
        document = self.connection.experiments().create(
            name="fake",
            parameters=[{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
            metrics=[{"name": "y", "objective": "minimize", "strategy": "optimize"}],
            observation_budget=self.budget,
            parallel_bandwidth=self.request.workers,
        )
        return str(document.id)

    def environment(self) -> dict[str, Any]:
        names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "RAY_JOB_ID", TOKEN_VARIABLE)
        found: dict[str, Any] = {name: os.environ.get(name) for name in names}
        found["nice"] = os.nice(0)
        found["blocked"] = [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
        found["folder"] = os.getcwd()
        return found

    def calibrate(self) -> None:
        folder = self.request.calibration_cache
        if folder is None:
            return
        path = folder / "a.calibration.npz"
        made = not path.exists()
        self.note("calibrated", "made" if made else path.read_text())
        if made:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(f"by {self.request.worker}")

    def fault(self) -> None:
        path = self.request.folder / "fault"
        if not path.exists():
            return
        kind, _, at = path.read_text().partition(" ")
        if kind == "broken":
            raise OSError("this worker is broken")
        if self.trials < int(at):
            return
        path.unlink()
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)

    def next_suggestion(self) -> Any:
        while not self.stopped:
            suggestion, used = self.ask()
            if suggestion is not None or used:
                return suggestion
            time.sleep(0.05)
        return None

    def interrupt(self) -> None:
        self.stopped = "Interrupted."

    def is_ahead(self) -> bool:
        folder = self.request.folder.parent
        if self.request.worker == LAST_WORKER or (folder / "alone").exists():
            return False
        names = {f"worker-{number + 1}" for number in range(self.request.workers)}
        others = names - {self.request.worker}
        return any(len(read_events(folder / name)) < self.trials for name in others)

    def ask(self) -> tuple[Any, bool]:
        """A suggestion if this worker may have one now, and whether the budget is used."""
        experiment = self.connection.experiments(self.id)
        # The store answers one worker at a time, so that this stays short and exact.
        with self.lock:
            left = list(experiment.suggestions().fetch(state="open").iterate_pages())
            for suggestion in left:
                name = suggestion.metadata["worker"]
                if self.request.worker in (name, LAST_WORKER):
                    return suggestion, False
            done = experiment.fetch().progress.observation_count
            if self.request.no_new_trials or done + len(left) >= self.budget:
                return None, True
            if self.is_ahead():
                return None, False
            name = {"worker": self.request.worker}
            return experiment.suggestions().create(metadata=name), False

    def observe(self, suggestion: Any, **values: Any) -> None:
        observations = self.connection.experiments(self.id).observations()
        # Else somebody could count it as open and as observed.
        with self.lock:
            observations.create(suggestion=suggestion.id, metadata=suggestion.metadata, **values)

    def run(self) -> RunEnd:
        self.note("environment.json", json.dumps(self.environment()))
        self.note("pid", str(os.getpid()))
        self.calibrate()
        signal.signal(signal.SIGINT, lambda number, frame: self.interrupt())
        while not self.stopped:
            self.fault()
            suggestion = self.next_suggestion()
            if suggestion is None:
                break
            time.sleep(TRIAL_SECONDS)
            self.fault()
            if self.stopped:
                self.observe(suggestion, failed=True)
                break
            self.observe(suggestion, values=[{"name": "y", "value": 1.0}])
            self.trials += 1
            self.note("events.jsonl", json.dumps({"trial": self.trials}) + "\n", "a")
        done = self.connection.experiments(self.id).fetch().progress.observation_count
        outcome = Outcome(
            strategy="sigopt",
            found=True,
            stop_reason=self.stopped or f"The budget of {self.budget} trials is spent.",
            trials=done,
            experiment_id=self.id,
        )
        write_outcome(outcome, self.request.folder)
        return RunEnd(outcome, bool(self.stopped))


if __name__ == "__main__":
    tune_worker.run_worker = lambda request: FakeWorker(request).run()
    tune_worker.end_process(tune_worker.main(sys.argv[1:]))
