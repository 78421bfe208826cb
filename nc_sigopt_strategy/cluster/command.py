"""``nc-sigopt tune --ray``: many workers on a cluster, one outcome."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.cluster.child_process import ChildProcess
from nc_sigopt_strategy.cluster.cluster import Cluster, connected, import_ray
from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.cluster.handover import Handover, handover_for
from nc_sigopt_strategy.cluster.launcher import Launcher, Plan
from nc_sigopt_strategy.cluster.requests import (
    IN_ORDER,
    INTERRUPTED,
    LAST_WORKER,
    WorkerRequest,
    WorkerStatus,
)
from nc_sigopt_strategy.cluster.run_state import RunState, only_driver
from nc_sigopt_strategy.cluster.worker_host import WORKER_PROGRAM, start_worker
from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.files import make_private
from nc_sigopt_strategy.hosts.inc.registration import STRATEGY_NAME
from nc_sigopt_strategy.jobs.job import Tell, TuningJob
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.sigopt_settings import STORE_FILE
from nc_sigopt_strategy.jobs.worker_process import SAVING_SECONDS, worker_environment
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import read_outcome, write_outcome

INTERRUPTED_REASON = "Interrupted."


@dataclass(frozen=True)
class RayOptions:
    """How the workers are run.

    Attributes:
        workers: How many.
        address: Of the cluster; ``None`` starts one on this machine.
        output: Run folder; one that is there is gone on with. ``None``: a new one where the
            job says.
        join: Id of an experiment that is gone on with, instead of a new one.
        storage: Storage URL that all workers share, instead of the job's.
        restarts: How often a worker is started again after a failure.
        restart_seconds: How long it is waited before that at first; each time twice as long.
        program: What runs as a worker, behind the Python interpreter; other than the ordinary one
            for tests.
    """

    workers: int
    address: str | None = None
    output: Path | None = None
    join: str | None = None
    storage: str | None = None
    restarts: int = 3
    restart_seconds: float = 5.0
    program: Sequence[str] = WORKER_PROGRAM


def tune_on_ray(job: TuningJob, tell: Tell, options: RayOptions) -> tuple[RunEnd, Path]:
    """Tune one model with many workers.

    Returns:
        How it ended, decided among the trials of all workers, and the run folder.

    Raises:
        SigOptStrategyError: The job, the model or the data cannot be used.
        RayError: Ray cannot be used, or no worker is left.
        MissingExtraError: Ray is not installed.
    """
    import_ray()
    _check_strategy(job)
    if options.output is None:
        folder = new_run_folder(job.name, job.output, job.path)
    else:
        folder = options.output.expanduser().resolve()
        _make(folder)
    tell(f"Run folder: {folder}")
    with only_driver(folder):
        state = RunState.begin(
            folder, job.path, job.label, max_trials=job.max_trials, workers=options.workers
        )
        if state.experiment_id is None:
            given = job.strategy_kwargs.get("sigopt_experiment_id")
            state.experiment_id = options.join or (None if given is None else str(given))
        if state.finished:
            tell("This run is finished. Raise max_trials to go on with it.")
            return RunEnd(read_outcome(folder), False), folder
        with connected(options.address) as cluster:
            plan = _plan(job, folder, options, cluster)
            return _run(cluster, plan, state, tell), folder


def _check_strategy(job: TuningJob) -> None:
    if job.strategy != STRATEGY_NAME:
        raise ConfigFileError(
            f"{job.path}: only the sigopt strategy has workers, the file runs {job.strategy}.",
            "List sigopt under strategies.",
        )


def _make(folder: Path) -> None:
    try:
        make_private(folder)
    except OSError as error:
        raise ConfigFileError(
            f"The run folder {folder} cannot be made: {error}.",
            "Name a folder that can be written.",
        ) from error


def _plan(job: TuningJob, folder: Path, options: RayOptions, cluster: Cluster) -> Plan:
    kwargs = job.strategy_kwargs
    own_cache = "calibration_cache" not in kwargs
    return Plan(
        request=WorkerRequest(
            target=job.path,
            worker=LAST_WORKER,
            workers=options.workers,
            folder=folder,
            working_folder=Path.cwd(),
            calibration_cache=folder / "calibration" if own_cache else None,
            options=job.options,
        ),
        handover=handover_for(kwargs, _storage(kwargs, folder, options, cluster)),
        program=tuple(options.program),
        restarts=options.restarts,
        restart_seconds=options.restart_seconds,
        timeout=job.timeout,
    )


def _storage(
    kwargs: Mapping[str, Any], folder: Path, options: RayOptions, cluster: Cluster
) -> str | None:
    """The store that all workers share, where the job does not say.

    Raises:
        ConfigFileError: It is a file, and there are nodes on other machines.
    """
    from nc_sigopt_strategy.client.connections import find_token
    from nc_sigopt_strategy.settings.settings import Settings

    chosen = options.storage or kwargs.get("storage")
    if chosen is None and find_token(Settings.from_kwargs(kwargs)) is not None:
        return None  # the server is what they share, and each has a store of its own
    storage = chosen or f"sqlite:///{folder / STORE_FILE}"
    elsewhere = cluster.elsewhere()
    if storage.startswith("sqlite") and elsewhere:
        raise ConfigFileError(
            f"The store of this run is a file of {platform.node()}, and the cluster has nodes "
            f"elsewhere: {elsewhere[0].host}.",
            "Name a PostgreSQL database with --storage, or a SigOpt server in strategy_kwargs.",
        )
    return None if options.storage is None and "storage" in kwargs else storage


def _run(cluster: Cluster, plan: Plan, state: RunState, tell: Tell) -> RunEnd:
    launcher = Launcher(cluster, plan, state, tell)
    interrupted = False
    try:
        launcher.run()
    except KeyboardInterrupt:
        interrupted = True
    if state.experiment_id is None:
        why = INTERRUPTED_REASON if interrupted else "No worker began the experiment."
        outcome = Outcome(strategy=STRATEGY_NAME, found=False, stop_reason=why)
        write_outcome(outcome, state.folder)
        return RunEnd(outcome, interrupted)
    tell("Deciding among the trials of all workers.")
    by_time = plan.timeout > 0
    request = dataclasses.replace(
        plan.request,
        experiment_id=state.experiment_id,
        no_new_trials=interrupted or by_time,
    )
    interrupted_now = _decide(request, plan, tell)
    outcome = read_outcome(state.folder)
    # A worker that is to try nothing new says that as many trials as there are were its budget.
    reason = INTERRUPTED_REASON if interrupted else launcher.stop_reason
    if request.no_new_trials and reason is not None:
        outcome = dataclasses.replace(outcome, stop_reason=reason)
        write_outcome(outcome, state.folder)
    interrupted = interrupted or interrupted_now
    state.finished = not interrupted
    state.write()
    return RunEnd(outcome, interrupted)


def _decide(request: WorkerRequest, plan: Plan, tell: Tell) -> bool:
    """Run a last worker here, which finds the budget used and decides; whether Ctrl-C ended it.

    Raises:
        RayError: It fails each time.
    """
    for attempt in range(1, plan.restarts + 2):
        status = _followed(request, plan.handover, plan.program, tell)
        if status.exit_code in (IN_ORDER, INTERRUPTED):
            return status.exit_code == INTERRUPTED
        problem = status.error or f"its process ended with exit code {status.exit_code}"
        if status.lasting or attempt > plan.restarts:
            break
        tell(f"The last worker failed: {problem.rstrip('.')}; it is started again.")
        time.sleep(plan.wait_before(attempt))
    raise RayError(
        f"The trials are kept, but no winner could be decided: {problem.rstrip('.')}.",
        f"See {request.folder / LOG_FILE}, and call it again with --resume {request.folder}.",
    )


def _followed(
    request: WorkerRequest, handover: Handover, program: Sequence[str], tell: Tell
) -> WorkerStatus:
    process = start_worker(request, handover, program, worker_environment())
    try:
        while process.poll() is None:
            process.wait(1.0)
    except KeyboardInterrupt:
        tell("Interrupted; the best model is saved (Ctrl-C again: at once).")
        _stop(process)
    finally:
        process.kill()
    code = process.wait(SAVING_SECONDS)
    return WorkerStatus.of(request.folder, INTERRUPTED if code is None else code)


def _stop(process: ChildProcess) -> None:
    process.interrupt()
    process.wait(SAVING_SECONDS)
