"""Runs in parallel processes, one numeric thread each."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_benchmarks.research.racing.tasks import Task
from nc_sigopt_strategy.errors import SigOptStrategyError

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class WorkerDiedError(SigOptStrategyError):
    """A process of the race ended by itself."""


def run_tasks(tasks: Iterable[Task], jobs: int) -> Generator[tuple[Task, RunResult], None, None]:
    """Make the runs in ``jobs`` processes; each comes as soon as it is done.

    Processes are spawned, not forked, so that their numeric libraries read how many threads they
    may use. Closing the iterator ends the processes.

    Raises:
        WorkerDiedError: A process was killed, for instance for want of memory.
    """
    waiting = iter(tasks)
    before = set(multiprocessing.active_children())
    with _one_thread_each():
        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _ignore_interrupts)
        open_runs: dict[Future[RunResult], Task] = {}
        try:
            while True:
                # Two for each process: one that runs, and one so that it need not wait.
                for task in itertools.islice(waiting, 2 * jobs - len(open_runs)):
                    open_runs[pool.submit(_run, task)] = task
                if not open_runs:
                    break
                for future in wait(open_runs, return_when=FIRST_COMPLETED).done:
                    yield open_runs.pop(future), future.result()
            pool.shutdown()
        except BrokenProcessPool as error:
            raise WorkerDiedError(
                "A process of the race was killed, perhaps for want of memory.",
                "Call it again with the same --output to go on, with fewer --jobs.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()


def _run(task: Task) -> RunResult:
    return task.run()


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
