"""A process that is started, followed, interrupted, and can tell whether its parent lives."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

# Its process id, for the child to tell whether it is still there.
PARENT_VARIABLE = "NC_SIGOPT_PARENT"


class ChildProcess:
    """A process in a session of its own, so that Ctrl-C in a terminal reaches it only through us.

    It is started by a thread that waits for its end: Linux sends the signal of a parent's death
    when the *thread* ends that started a process.

    Args:
        command: Program and arguments.
        environment: All of its variables.
        working_folder: Where it runs; where that is not there, beside its log.
        log: File that gets what it prints, behind what is there.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        working_folder: Path,
        log: Path,
    ) -> None:
        self._command = list(command)
        self._environment = {**environment, PARENT_VARIABLE: str(os.getpid())}
        self._folder = working_folder if working_folder.is_dir() else log.parent
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        threading.Thread(target=self._follow, name="child process", daemon=True).start()
        self._started.wait()
        if self._problem is not None:
            raise self._problem

    def poll(self) -> int | None:
        """Its exit code, minus the signal's number when one ended it; ``None`` while it runs."""
        if self._process is None or not self._ended.is_set():
            return None
        return self._process.returncode

    def wait(self, seconds: float) -> int | None:
        """As ``poll``, after at most so many seconds."""
        self._ended.wait(seconds)
        return self.poll()

    def interrupt(self) -> None:
        """Ask it to end in order, as Ctrl-C does."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _follow(self) -> None:
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=self._environment,
                    cwd=self._folder,
                    start_new_session=True,
                )
        except OSError as error:
            self._problem = error
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended.set()
