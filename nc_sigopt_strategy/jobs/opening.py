"""From a file to the job that it names: a model is tuned here, others are read by plug-ins."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from nc_sigopt_strategy.errors import MissingExtraError
from nc_sigopt_strategy.jobs.job import TuningJob
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.model_job import ModelJob

# Entry points of this group are named like a file's suffix. Each is a function that reads such a
# file: it gets its path and the options, and returns the job.
JOB_READERS = "nc_sigopt.jobs"
Reader = Callable[[Path, JobOptions], TuningJob]
_RUN_CONFIGURATIONS = ("yaml", "yml")


def open_job(path: Path, options: JobOptions) -> TuningJob:
    """The job that a file names.

    Args:
        path: A model, or what a reader of the group ``nc_sigopt.jobs`` reads.
        options: What is said beside it.

    Raises:
        MissingExtraError: It is a run configuration, and nothing here reads those.
        SigOptStrategyError: The file or an option cannot be used.
    """
    suffix = path.suffix.removeprefix(".").lower()
    for found in entry_points(group=JOB_READERS, name=suffix) if suffix else ():
        read: Reader = found.load()
        return read(path, options)
    if suffix in _RUN_CONFIGURATIONS:
        raise MissingExtraError(
            f"{path} is a run configuration, and those are read by the benchmark harness, which "
            "is not installed.",
            "Install it from a checkout of this project: pip install ./benchmarks. Or tune a "
            "model file: nc-sigopt tune MODEL --data FILE.py.",
        )
    return ModelJob.opened(path, options)
