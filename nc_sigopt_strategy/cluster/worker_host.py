"""The actor: it runs one worker's process on its node and tells how that is doing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nc_sigopt_strategy.cluster.calibration_files import read_files, write_missing
from nc_sigopt_strategy.cluster.child_process import ChildProcess
from nc_sigopt_strategy.cluster.environment import without_ray
from nc_sigopt_strategy.cluster.handover import STORAGE_VARIABLE, TOKEN_VARIABLE, Handover
from nc_sigopt_strategy.cluster.requests import WorkerRequest, WorkerStatus
from nc_sigopt_strategy.console.log_file import LOG_FILE
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE, worker_environment

WORKER_PROGRAM = ("-m", "nc_sigopt_strategy.cluster.tune_worker")


class WorkerHost:
    """Starts one worker and follows it; the process ends with the actor.

    A process of its own, so that a crash of native code does not take the actor, and the threads
    of Ray do not disturb timing.
    """

    def __init__(self) -> None:
        self._process: ChildProcess | None = None
        self._folder = Path()

    def start(
        self,
        request: WorkerRequest,
        handover: Handover,
        calibration: Mapping[str, bytes],
        program: Sequence[str] = WORKER_PROGRAM,
    ) -> int:
        """Start the worker and return the id of this process.

        Args:
            request: What it is to do.
            handover: What it gets in its environment.
            calibration: Files of statistics that are put into its folder for them before.
            program: Arguments of the Python interpreter before the request's file.

        Raises:
            OSError: The folder cannot be written on this node.
        """
        self._folder = request.folder
        if request.calibration_cache is not None:
            write_missing(request.calibration_cache, calibration)
        environment = without_ray(worker_environment())
        self._process = start_worker(request, handover, program, environment)
        return os.getpid()

    def status(self) -> WorkerStatus:
        """How the process is doing."""
        if self._process is None:
            return WorkerStatus(running=False)
        # The code first: what is read afterwards is all that the process wrote.
        code = self._process.poll()
        return WorkerStatus.of(self._folder, code)

    def calibration(self, folder: Path) -> dict[str, bytes]:
        """The files of statistics in a folder of this node."""
        return read_files(folder)

    def interrupt(self) -> None:
        """Let the worker close its trial and end."""
        if self._process is not None:
            self._process.interrupt()


def _without_own(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what a node knows by itself: all workers must use what their driver uses."""
    own = (TOKEN_VARIABLE, STORAGE_VARIABLE)
    return {name: value for name, value in environment.items() if name not in own}


def start_worker(
    request: WorkerRequest,
    handover: Handover,
    program: Sequence[str],
    environment: Mapping[str, str],
) -> ChildProcess:
    """Start a worker as a child of this process.

    Args:
        request: What it is to do.
        handover: What it gets in its environment beside the rest.
        program: Arguments of the Python interpreter before the request's file.
        environment: The rest.

    Raises:
        OSError: The folder cannot be written.
    """
    path = request.write()
    (request.folder / ERROR_FILE).unlink(missing_ok=True)
    return ChildProcess(
        [sys.executable, *program, str(path)],
        {**_without_own(environment), **handover.reveal()},
        request.working_folder,
        request.folder / LOG_FILE,
    )
