"""Processes in an environment of their own: how they are started, and that none is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

import nc_sigopt_benchmarks
from nc_sigopt_strategy.jobs.worker_process import worker_environment

_PARENT_CHECK_SECONDS = 2.0


def start(
    module: str, *arguments: str, python: str | None, log: IO[bytes], **pipes: Any
) -> subprocess.Popen[bytes]:
    """Run a module of the harness with some Python.

    In a session of its own: Ctrl-C in the terminal reaches only the process that started it.

    Args:
        module: Its dotted name.
        arguments: Its arguments.
        python: The interpreter; ``None``: this one.
        log: Gets what it prints on descriptor 2; on 1 too, unless ``pipes`` says otherwise.
        pipes: ``stdin`` and ``stdout``, as for ``subprocess.Popen``.

    Raises:
        OSError: There is no such interpreter.
    """
    pipes = {"stdin": subprocess.DEVNULL, "stdout": log, **pipes}
    return subprocess.Popen(
        [python or sys.executable, "-m", module, *arguments],
        stderr=log,
        env=worker_environment(nc_sigopt_benchmarks),
        start_new_session=True,
        **pipes,
    )


def end_with_parent(signal_number: int = signal.SIGINT) -> None:
    """Interrupt this process when the one that started it is gone.

    It runs in a session of its own, so a parent that is killed would leave it running, and taking
    the cores from whatever is timed next.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os.kill(os.getpid(), signal_number)

    threading.Thread(target=watch, daemon=True).start()


def last_lines(path: Path, count: int = 3) -> str:
    """The end of a log, in one line, to say why a process ended."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return " ".join(line.strip() for line in text.strip().splitlines()[-count:])
