"""How far a race is, on standard error."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_strategy.console.progress import format_seconds

# Elsewhere than on a terminal, a line each time this share is done.
_LINE_SHARE = 0.1


class RaceProgress:
    """A bar on a terminal, a line now and then elsewhere; a context manager.

    Args:
        total: Runs of the race.
        done: How many an earlier call made.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done, self._first = total, done, done
        self._started = time.monotonic()
        self._console = Console(stderr=True)
        self._next_line = done + _LINE_SHARE * total
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("racing", total=total, completed=done)

    def __enter__(self) -> RaceProgress:
        if self._done:
            print(f"{self._done} of {self._total} runs are there already.", file=sys.stderr)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def run_done(self, run: RunResult) -> None:
        """One more run is done."""
        self._done += 1
        self._bar.update(
            self._task, completed=self._done, description=f"{run.landscape} {run.competitor}"
        )
        if run.error is not None:
            self._console.print(
                f"{run.competitor} broke off on {run.landscape}, seed {run.seed}: {run.error}",
                markup=False,
            )
        if not self._console.is_terminal and self._done >= self._next_line:
            self._next_line = self._done + _LINE_SHARE * self._total
            print(f"{self._done} of {self._total} runs, {self._left()} left", file=sys.stderr)

    def _left(self) -> str:
        elapsed = time.monotonic() - self._started
        made = self._done - self._first
        return format_seconds(elapsed / made * (self._total - self._done))
