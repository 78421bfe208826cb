"""Client processes that are started once and get orders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

from nc_sigopt_benchmarks.research.parallel.timed_client import Order, Sample
from nc_sigopt_strategy.errors import SigOptStrategyError


class ClientDiedError(SigOptStrategyError):
    """A client process ended: a request failed."""


class Clients:
    """Processes of ``timed_client``; a context manager.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Clients:
        # SigOpt's client takes the working folder's name for a project unless told otherwise.
        environment = {**os.environ, "SIGOPT_PROJECT": "benchmark"}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "nc_sigopt_benchmarks.research.parallel.timed_client"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            for _ in range(self._count)
        ]  # fmt: skip
        for process in self._processes:
            self._line(process)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()

    def work(self, order: Order, count: int) -> list[list[Sample]]:
        """Let ``count`` of them do as an order says, all at the same time; samples of each.

        Raises:
            ClientDiedError: A request of one of them failed; standard error has its reason.
        """
        chosen = self._processes[:count]
        for process in chosen:
            if process.stdin is not None:
                process.stdin.write(json.dumps(asdict(order)) + "\n")
                process.stdin.flush()
        return [[Sample(**item) for item in json.loads(self._line(p))] for p in chosen]

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        line = "" if process.stdout is None else process.stdout.readline()
        if not line:
            raise ClientDiedError(f"A client ended with code {process.wait()}.")
        return line
