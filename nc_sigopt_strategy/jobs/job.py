"""The seam between what starts workers and what a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.run_end import RunEnd

Tell = Callable[[str], None]


class PreparedJob(Protocol):
    """A job whose model and data were found and fit together."""

    def run(self, folder: Path, *, progress: bool | None) -> RunEnd:
        """Tune, in this process and its main thread, once.

        The folder is there, and gets ``outcome.json``, ``trials.jsonl``, ``events.jsonl`` (a line
        per evaluation, when it is done), the recipe and the best model. Ctrl-C ends it in order:
        the open trial is closed, the best so far is decided on, and the end says so. What ends
        the tuning early is no exception but the outcome's ``error``; what is left out there is
        what was written.

        Args:
            folder: The run folder.
            progress: As ``TuningProgress``'s ``enabled``.

        Raises:
            SigOptStrategyError: The settings or the experiment cannot be used.
        """
        ...


class TuningJob(Protocol):
    """What one worker runs. It does not change: ``with_...`` return another.

    ``open_job(path, options)`` makes the same job again, in another process or on another node of
    a cluster where the same files are; so neither of the two holds a secret.
    """

    @property
    def path(self) -> Path:
        """The file or folder that names it, absolute."""
        ...

    @property
    def options(self) -> JobOptions:
        """What ``open_job`` needs beside the path; without what ``with_...`` changed."""
        ...

    @property
    def label(self) -> str:
        """How messages name what runs."""
        ...

    @property
    def name(self) -> str:
        """What the names of its run folders begin with."""
        ...

    @property
    def output(self) -> Path:
        """Folder of its run folders."""
        ...

    @property
    def strategy(self) -> str:
        """Neural Compressor's name of the strategy that runs."""
        ...

    @property
    def strategy_kwargs(self) -> Mapping[str, Any]:
        """Settings of the strategy."""
        ...

    @property
    def timeout(self) -> int:
        """Budget in seconds; 0 leaves the end to the trials."""
        ...

    @property
    def max_trials(self) -> int:
        """Budget in trials."""
        ...

    def with_kwargs(self, strategy_kwargs: Mapping[str, Any]) -> TuningJob:
        """The same with further settings, which take precedence; an empty mapping changes nothing.

        Raises:
            ConfigFileError: Only the sigopt strategy has workers, or no store is named of an
                experiment that is to be joined.
            SettingsError: A value cannot be used.
        """
        ...

    def with_budget(self, *, timeout: int, max_trials: int | None = None) -> TuningJob:
        """The same with another budget; ``None`` leaves the trials as they are."""
        ...

    def prepare(self, tell: Tell) -> PreparedJob:
        """Find model, data and server and check them, so that mistakes show before any tuning.

        Args:
            tell: Gets lines of text about what takes long.

        Raises:
            SigOptStrategyError: Something is missing or wrong.
        """
        ...
