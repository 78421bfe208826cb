"""The live progress bar of a tuning run.

Neural Compressor reads calibration output by pointing file descriptor 2 at a file while a session
runs. A bar drawn on ``sys.stderr`` would write into that file, and Neural Compressor would parse
it as activations. So the bar has a descriptor of its own, duplicated from the terminal's before
any redirection, and leaves ``sys.stdout`` and ``sys.stderr`` as they are.

In a notebook's kernel such a descriptor leads to the server's log, which nobody reads. There the
bar is an output of the cell, redrawn in place through the kernel's own channel.
"""

from __future__ import annotations

import contextlib
import time
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.progress import TextColumn as ProgressText
from rich.table import Column
from rich.text import Text

from nc_sigopt_strategy.console.notebook_cell import LiveText, in_notebook
from nc_sigopt_strategy.console.stderr import duplicate_of_stderr

# Twice a second is smooth enough, and costs the model that is being timed next to nothing.
_REFRESH_PER_SECOND = 2
# The bar counts in thousandths, because it follows whichever of trials and time is further along.
_STEPS = 1000
_NOTEBOOK_BAR_WIDTH = 20
# A notebook keeps what it shows: warnings without end are cut to the last ones.
_NOTEBOOK_MESSAGES = 20


def format_seconds(seconds: float) -> str:
    """``1:05`` or ``2:01:05``; negative durations count as zero."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def seconds_left(
    elapsed_seconds: float,
    trials_done: int,
    max_trials: int | None,
    timeout_seconds: float | None,
    last_trial_ended_seconds: float | None = None,
) -> float | None:
    """How long the run will probably still take.

    Args:
        elapsed_seconds: Since the start of the run.
        trials_done: Trials that have ended.
        max_trials: Observation budget; ``None`` when there is none.
        timeout_seconds: Time budget; ``None`` or 0 when there is none.
        last_trial_ended_seconds: When the last trial ended, since the start; now if ``None``.

    Returns:
        The smaller of trials left times mean trial time and time left, in seconds; ``None`` when
        neither is known yet.
    """
    estimates = []
    if max_trials is not None and trials_done > 0:
        # The trial that runs now makes neither the finished ones longer nor the others shorter,
        # however long it takes.
        ended = elapsed_seconds if last_trial_ended_seconds is None else last_trial_ended_seconds
        usual, left = ended / trials_done, max(0, max_trials - trials_done)
        this_one = min(usual, elapsed_seconds - ended) if left else 0.0
        estimates.append(left * usual - this_one)
    if timeout_seconds:
        estimates.append(max(0.0, timeout_seconds - elapsed_seconds))
    return min(estimates) if estimates else None


class TuningProgress:
    """A bar that says "trial k of N, best so far ..., ETA ..."; use it as a context manager.

    On a terminal it is one live line, in a notebook one output that is redrawn. Elsewhere (a file,
    a pipe, a CI log) it is one plain line per trial.

    Args:
        title: What is being tuned, for instance the strategy's name.
        max_trials: Observation budget; ``None`` when only time bounds the run.
        timeout_seconds: Time budget in seconds; ``None`` or 0 when only trials bound the run.
        enabled: ``True`` draws the live bar even where there seems to be no terminal, ``False``
            writes nothing at all, ``None`` looks whether this is a notebook or standard error is a
            terminal.
    """

    def __init__(
        self,
        title: str,
        *,
        max_trials: int | None,
        timeout_seconds: float | None,
        enabled: bool | None = None,
    ) -> None:
        self._title = title
        self._max_trials = max_trials
        self._timeout_seconds = timeout_seconds
        self._enabled = enabled
        self._started = time.monotonic()
        self._trials_done = 0
        self._last_trial_ended = 0.0
        self._best: str | None = None
        self._note = ""
        self._messages: tuple[str, ...] = ()
        self._ended = False
        self._deciding = ""
        self._stream: IO[str] | None = None
        self._opened = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._notebook: LiveText | None = None

    def __enter__(self) -> TuningProgress:
        self._started = time.monotonic()
        if self._enabled is False:
            return self
        if in_notebook():
            self._notebook = LiveText(self._notebook_lines)
            self._opened.callback(self._notebook.close)
            return self
        self._stream = self._opened.enter_context(duplicate_of_stderr())
        if self._enabled or self._stream.isatty():
            self._start_bar(self._stream)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended = True
        self._opened.close()
        self._progress = self._stream = self._notebook = None

    def trial_done(self, number: int, best: str | None, *, note: str = "") -> None:
        """Show that a trial has ended.

        Args:
            number: Of the trial, from 1.
            best: The best so far, ready to read (``"3.1 ms at 0.9225"``); ``None`` while no model
                meets the bound.
            note: About this trial, shown behind it.
        """
        self._trials_done = max(self._trials_done, number)
        self._last_trial_ended = self._elapsed()
        self._best = best
        self._note = note
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note=note, completed=self._completed())
        elif self._notebook is not None:
            self._notebook.redraw()
        else:
            self._write_line(self._status(shown_trial=number) + (f" ({note})" if note else ""))

    def doing(self, what: str) -> None:
        """Show on the live bar what the running trial does."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note=what)
        elif self._notebook is not None:
            # Shown at the next redraw: this is called for every batch.
            self._note = what

    def deciding(self, what: str) -> None:
        """Show from now on what is done after the last trial, in place of the ETA.

        Args:
            what: In a few words.
        """
        self._deciding = what
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, note="", completed=_STEPS)
        elif self._notebook is not None:
            self._note = ""
            self._notebook.redraw()

    def message(self, text: str) -> None:
        """Write a line of its own, above the bar where there is one."""
        if self._progress is not None:
            self._progress.console.print(text, markup=False, highlight=False, emoji=False)
        elif self._notebook is not None:
            self._messages = (*self._messages, text)[-_NOTEBOOK_MESSAGES:]
            self._notebook.redraw()
        else:
            self._write_line(text)

    def _start_bar(self, stream: IO[str]) -> None:
        console = Console(file=stream, force_terminal=True)
        self._progress = Progress(
            SpinnerColumn(),
            ProgressText("{task.description}", markup=False),
            BarColumn(bar_width=10),
            _StatusColumn(self),
            # Takes the room that is left: a narrow terminal cuts the note, not the ETA.
            ProgressText(
                "{task.fields[note]}",
                style="dim",
                markup=False,
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=console,
            expand=True,
            refresh_per_second=_REFRESH_PER_SECOND,
            # Redirection would put rich between Neural Compressor and the stream it duplicates.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(self._title, total=_STEPS, note="")
        self._opened.enter_context(self._progress)

    def _notebook_lines(self) -> list[str]:
        messages = [f"{self._title}: {message}" for message in self._messages]
        if self._ended:
            trials = f"{self._trials_done} trial{'' if self._trials_done == 1 else 's'}"
            took = format_seconds(self._elapsed())
            return [*messages, f"{self._title}: {trials} in {took}, best {self._best or 'none'}"]
        filled = self._completed() * _NOTEBOOK_BAR_WIDTH // _STEPS
        bar = "█" * filled + "░" * (_NOTEBOOK_BAR_WIDTH - filled)
        note = f" ({self._note})" if self._note else ""
        return [*messages, f"{self._title} {bar} {self._status()}{note}"]

    def _write_line(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{self._title}: {text}\n")
            self._stream.flush()

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _completed(self) -> int:
        shares = [0.0]
        if self._max_trials:
            shares.append(self._trials_done / self._max_trials)
        if self._timeout_seconds:
            shares.append(self._elapsed() / self._timeout_seconds)
        return round(_STEPS * min(1.0, max(shares)))

    def _status(self, shown_trial: int | None = None) -> str:
        # The live line names the trial that runs, the plain line the one that has ended.
        running = self._trials_done if self._deciding else self._trials_done + 1
        number = running if shown_trial is None else shown_trial
        if self._max_trials is not None:
            number = min(number, self._max_trials)
        of_budget = f" of {self._max_trials}" if self._max_trials is not None else ""
        left = seconds_left(
            self._elapsed(),
            self._trials_done,
            self._max_trials,
            self._timeout_seconds,
            self._last_trial_ended,
        )
        eta = "?" if left is None else format_seconds(left)
        tail = self._deciding or f"ETA {eta}"
        return f"trial {number}{of_budget}, best so far {self._best or 'none'}, {tail}"


class _StatusColumn(ProgressColumn):
    """The text of the bar, computed at each refresh so that the ETA counts down."""

    def __init__(self, owner: TuningProgress) -> None:
        self._owner = owner
        super().__init__()

    def render(self, task: Task) -> Text:
        task.completed = max(task.completed, self._owner._completed())
        return Text(self._owner._status(), no_wrap=True, overflow="ellipsis")
