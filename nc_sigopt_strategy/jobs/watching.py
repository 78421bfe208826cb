"""The page of a run in a browser while it goes on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from nc_sigopt_strategy.jobs.job import Tell
from nc_sigopt_strategy.jobs.worker_process import worker_environment
from nc_sigopt_strategy.reports.page_server import LINGER_SECONDS

_MODULE = "nc_sigopt_strategy.reports.page_server"
# What it takes to end, beyond the time in which browsers come for the last state.
_ENDING_SECONDS = 5.0


@contextlib.contextmanager
def watched(folder: Path, tell: Tell) -> Iterator[None]:
    """Serve the page of a run folder from a process of its own, which ends with this one.

    A page that cannot be served costs the run nothing; it is said.

    Args:
        folder: Run folder.
        tell: Gets a line with the page's address.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            text=True,
            # Signals from the terminal are for the run.
            start_new_session=True,
        )
    except OSError as error:
        tell(f"The page cannot be served: {error}.")
        yield
        return
    with process:
        address = process.stdout.readline().strip() if process.stdout else ""
        tell(f"Watch it at {address}" if address else "The page cannot be served.")
        try:
            yield
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(LINGER_SECONDS + _ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
