"""``nc-sigopt tune``: one job, in this process, in a run folder of its own."""

from __future__ import annotations

from pathlib import Path

from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.jobs.job import Tell, TuningJob
from nc_sigopt_strategy.jobs.log_file import LOG_FILE, logs_in
from nc_sigopt_strategy.jobs.run_end import RunEnd


def tune(job: TuningJob, tell: Tell, *, progress: bool | None = None) -> tuple[RunEnd, Path]:
    """Run a job.

    Args:
        job: What is run.
        tell: Gets lines of text about what goes on.
        progress: As ``TuningProgress``'s ``enabled``.

    Returns:
        How it ended, and the run folder.

    Raises:
        SigOptStrategyError: The job, the model or the data cannot be used.
    """
    prepared = job.prepare(tell)
    folder = new_run_folder(job.name, job.output, job.path)
    tell(f"Run folder: {folder}")
    with logs_in(folder / LOG_FILE):
        return prepared.run(folder, progress=progress), folder
