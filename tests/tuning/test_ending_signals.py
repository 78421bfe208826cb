"""SIGTERM and SIGHUP close a run as Ctrl-C does, and end the process then."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.testing.fake_models import FakeModel
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.ending_signals import EndingSignals
from nc_sigopt_strategy.tuning.host import Evaluation
from nc_sigopt_strategy.tuning.interrupts import InterruptWatch
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare

TRIALS = 8


class SignalledHost(FakeHost):
    """Calls something while its third model is evaluated."""

    def __init__(self, then: Callable[[], None]) -> None:
        super().__init__(tolerable_loss=0.5)
        self._then = then

    def evaluate(self, model: FakeModel) -> Evaluation:
        if self.calls["evaluate"] == 2:
            self._then()
        return super().evaluate(model)


def run(folder: Path, then: Callable[[], None]) -> Ended:
    settings = Settings.from_kwargs(
        {"storage": f"sqlite:///{folder.parent / 'store.sqlite3'}", "progress": False}
    )
    host = SignalledHost(then)
    budget = Budget(TRIALS, 0.0, False, clock=host.clock)
    return tune(prepare(host, settings, folder=folder, seed=0), budget)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """No test leaves a handler to the next; each starts with the system's own."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def assert_closed(folder: Path) -> None:
    """Two trials were measured, the third was interrupted, and all is on disk."""
    outcome, trials = read_outcome(folder), read_trials(folder)
    assert outcome.found
    assert outcome.stop_reason == "Interrupted."
    assert [trial.interrupted for trial in trials] == [False, False, True]
    assert {"best_model.json", "recipe.json", "report.html"} <= {p.name for p in folder.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_run_is_closed_and_the_process_ends(folder: Path, number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as ended:
        run(folder, lambda: signal.raise_signal(number))
    assert ended.value.code == 128 + number
    assert_closed(folder)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_code_that_catches_everything_does_not_swallow_it(folder: Path) -> None:
    def swallowing() -> None:
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        raise ValueError("which it stumbles over")

    with pytest.raises(SystemExit):
        run(folder, swallowing)
    assert_closed(folder)


def test_a_job_that_ignores_ctrl_c_is_closed_too(folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(SystemExit):
        run(folder, lambda: signal.raise_signal(signal.SIGTERM))
    assert_closed(folder)


def test_what_is_sent_to_a_process_and_to_its_group_is_one_wish(folder: Path) -> None:
    def twice() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            done.append("cleaned up")

    done: list[str] = []
    with pytest.raises(SystemExit) as ended:
        run(folder, twice)
    assert ended.value.code == 128 + signal.SIGTERM
    assert done == ["cleaned up"]
    assert_closed(folder)


def test_an_ignored_signal_stays_ignored(folder: Path) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert run(folder, lambda: signal.raise_signal(signal.SIGHUP)).outcome.trials == TRIALS


def test_a_handler_that_only_notes_the_signal_keeps_the_run_going(folder: Path) -> None:
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)

    signal.signal(signal.SIGTERM, note)
    assert run(folder, lambda: signal.raise_signal(signal.SIGTERM)).outcome.trials == TRIALS
    assert noted == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is note


def test_what_a_users_handler_raises_comes_after_the_closing(folder: Path) -> None:
    calls: list[int] = []

    def leave(number: int, frame: object) -> None:
        calls.append(number)
        sys.exit(7)

    signal.signal(signal.SIGTERM, leave)
    with pytest.raises(SystemExit) as ended:
        run(folder, lambda: signal.raise_signal(signal.SIGTERM))
    assert ended.value.code == 7
    assert calls == [signal.SIGTERM]
    assert_closed(folder)


def test_steps_that_belong_together_are_not_torn_apart() -> None:
    done: list[str] = []
    with (  # noqa: PT012
        pytest.raises(SystemExit),
        EndingSignals(),
        InterruptWatch() as watch,
        watch.held(),
    ):
        signal.raise_signal(signal.SIGTERM)
        done.append("both steps")
    assert done == ["both steps"]
    assert watch.by_person


def test_the_outermost_block_ends_the_process() -> None:
    done: list[str] = []
    with pytest.raises(SystemExit), EndingSignals():  # noqa: PT012
        with contextlib.suppress(KeyboardInterrupt), EndingSignals():
            signal.raise_signal(signal.SIGTERM)
        done.append("the outer block goes on")
    assert done == ["the outer block goes on"]


def test_a_thread_is_left_alone(folder: Path) -> None:
    found: list[Ended] = []
    thread = threading.Thread(target=lambda: found.append(run(folder, lambda: None)))
    thread.start()
    thread.join()
    assert found[0].outcome.trials == TRIALS


_ON_A_TERMINAL = """
import sys, time
from pathlib import Path
from tests.tuning.test_ending_signals import run
def wait():
    print("evaluating", flush=True)
    time.sleep(600)
run(Path(sys.argv[1]), wait)
"""


def test_a_terminal_that_is_closed_costs_nothing(folder: Path) -> None:
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_A_TERMINAL, str(folder)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=_take_terminal, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while b"evaluating" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)
    assert process.wait(300) == 128 + signal.SIGHUP
    assert_closed(folder)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
