"""An ordinary worker, as ``nc-sigopt tune --join ID --worker NAME`` runs it.

``python -m nc_sigopt_strategy.cluster.tune_worker REQUEST.json``; see ``requests`` for the
exit codes. An error that ended it is in ``error.json``.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import filelock

from nc_sigopt_strategy.cluster.child_process import PARENT_VARIABLE
from nc_sigopt_strategy.cluster.environment import end_with, release_signals, usual_priority
from nc_sigopt_strategy.cluster.errors import WorkerError
from nc_sigopt_strategy.cluster.handover import STORAGE_VARIABLE
from nc_sigopt_strategy.cluster.requests import (
    IN_ORDER,
    INTERRUPTED,
    LAST_WORKER,
    WITH_ERROR,
    WorkerRequest,
)
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.job import TuningJob
from nc_sigopt_strategy.jobs.opening import open_job
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE, describe_error
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import OUTCOME_FILE, write_outcome
from nc_sigopt_strategy.tuning.run_folder import EXPERIMENT_FILE

LOCK_FILE = "worker.lock"
# An earlier process of the same name is killed with its actor; this is time for it to be gone.
_PREDECESSOR_SECONDS = 60.0

logger = logging.getLogger("nc_sigopt_strategy")


def main(arguments: list[str]) -> int:
    """Run the request whose file is the only argument; returns the exit code."""
    release_signals()
    end_with(int(os.environ.get(PARENT_VARIABLE, os.getppid())))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s")
    request = WorkerRequest.read(Path(arguments[0]))
    slow = usual_priority()
    if slow is not None:
        logger.warning("%s", slow)
    try:
        end = _alone(request)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # whoever follows this process must learn of whatever it was
        traceback.print_exc()
        text = json.dumps(describe_error(error), indent=2)
        write_whole(request.folder / ERROR_FILE, text + "\n")
        return WITH_ERROR
    return INTERRUPTED if end.interrupted else IN_ORDER


def _alone(request: WorkerRequest) -> RunEnd:
    """Run it when no other process works in its folder, and so under its name."""
    lock = filelock.FileLock(request.folder / LOCK_FILE)
    try:
        lock.acquire(timeout=_PREDECESSOR_SECONDS)
    except filelock.Timeout:
        raise WorkerError(
            f"Another process works in {request.folder} under the name {request.worker}.",
            "End it first.",
        ) from None
    try:
        return run_worker(request)
    finally:
        lock.release()


def run_worker(request: WorkerRequest) -> RunEnd:
    """Work on the experiment until its budget is used.

    Raises:
        SigOptStrategyError: The job, the model or the data cannot be used.
        WorkerError: Tuning ended early because of an error.
    """
    job = as_worker(open_job(request.target, request.options), request)
    job = job.with_budget(timeout=request.timeout)
    if request.no_new_trials:
        observed = _observed(job.strategy_kwargs)
        if not observed:
            return RunEnd(_nothing(request, job), False)
        job = job.with_budget(timeout=0, max_trials=min(job.max_trials, observed))
    # An outcome of an earlier process must not be taken for this one's.
    (request.folder / OUTCOME_FILE).unlink(missing_ok=True)
    end = job.prepare(logger.info).run(request.folder, progress=False)
    if end.outcome.error is not None and not end.interrupted:
        raise WorkerError(f"Tuning ended early: {end.outcome.error}")
    return end


def as_worker(job: TuningJob, request: WorkerRequest) -> TuningJob:
    """The job with what makes it this worker's.

    Raises:
        ConfigFileError: It is not the sigopt strategy, or joins an experiment of no store.
        SettingsError: A value cannot be used.
    """
    given: dict[str, Any] = {
        "worker": request.worker,
        "parallel_bandwidth": request.workers,
        "sigopt_experiment_id": request.experiment_id or _begun_in(request.folder),
        "calibration_cache": request.calibration_cache,
        "storage": os.environ.get(STORAGE_VARIABLE),
        # The last worker times the finalists of all; until then one of its own is enough.
        "finalists": None if request.worker == LAST_WORKER else 1,
    }
    kwargs = {key: value for key, value in given.items() if value is not None}
    return job.with_kwargs(kwargs)


def _begun_in(folder: Path) -> str | None:
    """The experiment that an earlier process of this worker created and nobody was told of."""
    try:
        raw = json.loads((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return str(raw["experiment_id"])


def _observed(strategy_kwargs: Mapping[str, Any]) -> int:
    """How many observations the experiment has."""
    from nc_sigopt_strategy.client.connections import open_connections
    from nc_sigopt_strategy.experiments.opening import join_on
    from nc_sigopt_strategy.settings.settings import Settings

    settings = Settings.from_kwargs(strategy_kwargs)
    experiment_id = settings.sigopt_experiment_id
    if experiment_id is None:
        return 0
    if settings.storage is None:
        # With a server: its copy is made by the run itself.
        settings = dataclasses.replace(settings, storage="sqlite:///:memory:")
    connections = open_connections(settings, seed=0)
    try:
        kept_in = connections.remote or connections.local
        return join_on(kept_in, experiment_id).observed
    finally:
        connections.local.impl.driver.close()


def _nothing(request: WorkerRequest, job: TuningJob) -> Outcome:
    outcome = Outcome(
        strategy=job.strategy,
        found=False,
        stop_reason="No trial was observed.",
        experiment_id=request.experiment_id,
    )
    write_outcome(outcome, request.folder)
    return outcome


def end_process(code: int) -> NoReturn:
    """End this process at once: taking TensorFlow down takes seconds, and all is written."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
