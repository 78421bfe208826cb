"""The progress of a recording: a bar on a terminal, a line per row elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from nc_sigopt_benchmarks.research.landscapes.landscape_file import LandscapeRow
from nc_sigopt_benchmarks.research.landscapes.profiles import RecordedProfile
from nc_sigopt_strategy.console.stderr import duplicate_of_stderr

# Rarely: the models that are timed share the cores with what draws the bar.
_REFRESH_PER_SECOND = 1


class RecordingProgress:
    """Shows which row was recorded; a context manager.

    Args:
        expected: How many rows the file will have; duplicates of the design make it fewer.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._stream = duplicate_of_stderr()
        self._bar: Progress | None = None
        if self._stream.isatty():
            # On a descriptor of its own: Neural Compressor redirects descriptor 2.
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                console=Console(file=self._stream, force_terminal=True),
                refresh_per_second=_REFRESH_PER_SECOND,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task("recording", total=expected)

    def __enter__(self) -> RecordingProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._stream.close()

    def row_done(self, row: LandscapeRow, rows: int) -> None:
        """Show a new row.

        Args:
            row: The row.
            rows: How many the file has now.
        """
        if self._bar is not None:
            self._bar.update(self._task, completed=rows, description=row.origin)
            return
        self._stream.write(f"row {rows} of {self._expected}, {row.origin}: {_figures(row)}\n")
        self._stream.flush()

    def profile_done(self, profile: RecordedProfile) -> None:
        """Show a new profile."""
        said = f"profile of {profile.origin}, batch {profile.batch_size}"
        if self._bar is not None:
            self._bar.update(self._task, description=said)
            return
        told = sum(took for took in profile.seconds if took is not None) / profile.total
        self._stream.write(f"{said}: its ops take {told:.0%} of {1e3 * profile.total:.1f} ms\n")
        self._stream.flush()


def _figures(row: LandscapeRow) -> str:
    if row.failure is not None:
        return f"failed, {row.failure}"
    accuracy = "" if row.accuracy is None else f"accuracy {row.accuracy:.4f}, "
    noise = "" if row.output_noise is None else f"noise {row.output_noise:.3g}, "
    ratios = ", ".join(f"{latency.ratio:.3f} at {size}" for size, latency in row.latency.items())
    latency = f"latency {ratios}" if ratios else "not timed"
    return f"{accuracy}{noise}{latency}; {row.seconds:.1f} s"
