"""``nc-sigopt tune``: one job, in this process, in a run folder of its own."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.console.log_file import LOG_FILE, logs_in
from nc_sigopt_strategy.files import write_whole
from nc_sigopt_strategy.jobs.job import Tell, TuningJob
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.jobs.watching import watched
from nc_sigopt_strategy.reports.run_record import COMMAND_FILE


def tune(
    job: TuningJob,
    tell: Tell,
    *,
    progress: bool | None = None,
    verbose: bool = False,
    show_page: Tell | None = None,
) -> tuple[RunEnd, Path]:
    """Run a job.

    Args:
        job: What is run.
        tell: Gets lines of text about what goes on.
        progress: As ``TuningProgress``'s ``enabled``.
        verbose: Whether what this package logs is shown on standard error, too.
        show_page: Gets a line with the address at which the run's page can be watched; ``None``
            serves none. The job must be one whose runs write it, see ``Settings.live_page``.

    Returns:
        How it ended, and the run folder.

    Raises:
        SigOptStrategyError: The job, the model or the data cannot be used.
    """
    prepared = job.prepare(tell)
    folder = new_run_folder(job.name, job.output, job.path)
    tell(f"Run folder: {folder}")
    note_command(job, folder)
    with contextlib.ExitStack() as stack:
        if show_page is not None:
            stack.enter_context(watched(folder, show_page))
        stack.enter_context(logs_in(folder / LOG_FILE, shown=verbose))
        return prepared.run(folder, progress=progress), folder


def note_command(job: TuningJob, folder: Path) -> None:
    """Write into the run folder by which command the job can be run again.

    It says what names the job, which holds no secret; a store and a server are left out.
    """
    command = shlex.join(["nc-sigopt", "tune", str(job.path), *job.options.as_arguments()])
    write_whole(folder / COMMAND_FILE, json.dumps({"command": command}, indent=2) + "\n")
