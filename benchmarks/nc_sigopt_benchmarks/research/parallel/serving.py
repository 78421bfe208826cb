"""``nc-sigopt serve`` in a process of its own, without its limits on rates."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from nc_sigopt_strategy.errors import SigOptStrategyError

_START_SECONDS = 180.0
_LISTENS = re.compile(r"Serving (https?://[^\s/]+)")


class ServerDiedError(SigOptStrategyError):
    """The server does not start."""


class Serving:
    """The server on a store; a context manager.

    Args:
        storage_url: Database URL.
        sampler: Who suggests.

    Attributes:
        url: Where it listens.
        token: One that may write.
    """

    def __init__(self, storage_url: str, sampler: str) -> None:
        self._storage_url, self._sampler = storage_url, sampler
        self._process: subprocess.Popen[str] | None = None
        self._log: list[str] = []
        self._readers: list[threading.Thread] = []
        self.url = ""
        self.token = ""

    def __enter__(self) -> Serving:
        self.token = self._new_token()
        self._process = subprocess.Popen(
            [
                *_nc_sigopt("serve"), "--storage", self._storage_url, "--port", "0",
                "--sampler", self._sampler, "--seed", "0", "--quiet",
                "--rate-writes", "0", "--rate-reads", "0",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        listens = threading.Event()
        for stream in (self._process.stdout, self._process.stderr):
            reader = threading.Thread(target=self._read, args=(stream, listens), daemon=True)
            reader.start()
            self._readers.append(reader)
        for _ in range(int(_START_SECONDS * 10)):
            if listens.wait(0.1):
                return self
            if self._process.poll() is not None:
                break
        self._end()
        raise ServerDiedError(f"nc-sigopt serve did not start: {self.log[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def log(self) -> str:
        """What it has said so far."""
        return "".join(self._log)

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        import psutil

        if self._process is None:
            return 0.0
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def peak_mib(self) -> float:
        """The most memory that it has held at a time, in MiB; Linux only."""
        if self._process is None:
            return 0.0
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def _read(self, stream: object, listens: threading.Event) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self._log.append(line)
            if found := _LISTENS.match(line):
                self.url = found[1]
                listens.set()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def _new_token(self) -> str:
        name = f"benchmark-{time.monotonic_ns()}"
        done = subprocess.run(
            [*_nc_sigopt("token"), "create", name, "--storage", self._storage_url],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ServerDiedError(f"No token could be made: {done.stderr[-2000:]}")
        return done.stdout.strip()


def _nc_sigopt(command: str) -> list[str]:
    return [sys.executable, "-m", "nc_sigopt_strategy.cli.main", command]
