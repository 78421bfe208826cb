"""Functions of a user's that do what nobody expects: on a fake host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.errors import SettingsError, TrialError, in_one_line, named, shown
from nc_sigopt_strategy.experiments.opening import join_on, list_experiments
from nc_sigopt_strategy.measurement.accuracy import finite_values
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetrics
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.results.trial_record import TrialState
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare


def run(host: FakeHost, folder: Path, max_trials: int = 4) -> Ended:
    store = f"sqlite:///{folder.parent / 'store.sqlite3'}"
    settings = Settings.from_kwargs({"storage": store, "progress": False, "patience": 0})
    budget = Budget(max_trials, 0.0, False, clock=host.clock)
    return tune(prepare(host, settings, folder=folder, seed=0), budget)


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class NoText(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class TimeIsUp(BaseException):
    """As some packages throw it into a function that takes too long."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Speechless(), "Speechless: (it cannot say why: its own __str__ raised RuntimeError)"),
        (NoText(), "NoText: (it cannot say why: its own __str__ raised TypeError)"),
        (ValueError("a\nb\x1b[31m\x00"), "ValueError: a; b\\x1b[31m\\x00"),
        (ValueError("\udcff"), "ValueError: \\udcff"),
        (MemoryError(), "MemoryError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_that_no_store_and_no_terminal_takes_costs_one_trial(
    tmp_path: Path, error: Exception, said: str
) -> None:
    ended = run(FakeHost(faults={("evaluate", 2): error}), tmp_path / "run")
    assert ended.outcome.trials == 4
    assert ended.outcome.found
    failed = [t for t in read_trials(tmp_path / "run") if t.state is TrialState.FAILED]
    assert [trial.failure for trial in failed] == [said]


@pytest.mark.parametrize(
    "error", [GeneratorExit(), asyncio.CancelledError(), TimeIsUp("now")], ids=type
)
def test_what_ends_more_than_the_run_closes_it_first(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        run(FakeHost(faults={("evaluate", 3): error}), tmp_path / "run")
    assert raised.value is error
    outcome = read_outcome(tmp_path / "run")
    assert outcome.trials == 3
    assert outcome.best is not None
    assert type(error).__name__ in str(outcome.error)
    connection = open_embedded(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    (document,) = list_experiments(connection)
    assert not join_on(connection, str(document.id)).open_suggestions()


def test_a_message_of_any_length_stays_short(caplog: pytest.LogCaptureFixture) -> None:
    long = "word " * 10_000_000
    assert len(in_one_line(ValueError(long))) < 1000
    assert len(named(ValueError(long))) < 1000
    assert len(shown(long)) < 1000


class UsersHost(FakeHost):
    """A host whose evaluation calls a user's function first."""

    def __init__(self, evaluation: Callable[[], Any]) -> None:
        super().__init__(ops=4)
        self._evaluation = evaluation

    def evaluate(self, model: Any) -> Any:
        self._evaluation()
        return super().evaluate(model)


def test_a_long_or_coloured_error_of_the_users_code_is_logged_short_and_plain(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("\x1b[31m" + "x" * 1_000_000)

    with caplog.at_level(logging.ERROR):
        run(UsersHost(fail), tmp_path / "run")
    assert "Your own code failed" in caplog.text
    assert len(caplog.text) < 50_000
    assert "\x1b" not in caplog.text
    assert "\\x1b[31m" in caplog.text
    assert len(read_outcome(tmp_path / "run").crash or "") < 20_000


_FORKS = """
import json, os, sys
from pathlib import Path
from nc_sigopt_strategy.measurement.per_input import heard
from tests.tuning.test_hostile_functions import UsersHost, run

def forks():
    child = os.fork()
    if child == 0:
        {child}
    os.waitpid(child, 0)
    return 0.9

ended = run(UsersHost(lambda: heard(lambda model: forks())(None)), Path(sys.argv[1]) / "run")
print(json.dumps([os.getpid(), ended.outcome.trials, ended.outcome.found]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    ("child", "said"),
    [
        ("return 0.5", "came back from it and is ended"),
        ("sys.exit(0)", ""),
        ("raise ValueError('in the child')", "ValueError: in the child"),
        ("os._exit(0)", ""),
    ],
)
def test_a_copy_that_the_evaluation_forks_is_not_the_run(
    tmp_path: Path, child: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKS.format(child=child), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    assert json.loads(line)[1:] == [4, True]
    assert said in done.stderr
    trials = read_trials(tmp_path / "run")
    assert [trial.state for trial in trials] == [TrialState.OBSERVED] * 4


def test_files_that_the_evaluation_closes_cost_no_result(tmp_path: Path) -> None:
    before = set(os.listdir("/dev/fd"))

    def close_what_is_locked() -> None:
        for name in set(os.listdir("/dev/fd")) - before:
            with contextlib.suppress(OSError):
                if ".running" in os.readlink(f"/dev/fd/{name}"):
                    os.close(int(name))

    host = UsersHost(close_what_is_locked)
    assert run(host, tmp_path / "run").outcome.found
    assert read_outcome(tmp_path / "run").found


class Tensor:
    """What a framework's tensor without axes has in common with others."""

    shape = ()

    def __init__(self, value: float) -> None:
        self._value = value

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.array(self._value)


@pytest.mark.parametrize(
    "value", [np.array(0.5), np.array(0.5, np.float16), Tensor(0.5), [Tensor(0.5)], True - 0.5]
)
def test_numbers_without_axes_are_numbers(value: Any) -> None:
    assert finite_values(value) == (0.5,)


@pytest.mark.parametrize(
    "value",
    [10**400, np.ma.masked, np.array([0.5]), Decimal("0.5"), 1j, np.array("x"), np.array(1j),
     Tensor(float("nan")), Unprintable(), [Unprintable()], "\x1b[31m", np.datetime64("NaT")],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_number_is_shown_whatever_it_is(value: Any) -> None:
    with pytest.raises(TrialError, match="not a finite number") as raised:
        finite_values(value)
    said = str(raised.value)
    assert said.isprintable()
    assert len(said) < 500


@pytest.mark.parametrize(
    ("value", "way_out"),
    [
        (np.array([True, False]), "PerInput"),
        (np.array([[1.0], [0.0]]), "PerInput"),
        ([np.array([1.0, 0.0])], "PerInput"),
        ([[1.0, 0.0]], "PerInput"),
        ({"accuracy": 0.5}, "one metric"),
        (None, "is a return missing"),
        (float("nan"), "one number"),
        ("0.5", "one number"),
    ],
)
def test_an_evaluation_that_gives_no_number_is_told_what_to_give(value: Any, way_out: str) -> None:
    with pytest.raises(TrialError) as raised:
        finite_values(value)
    assert way_out in str(raised.value)


def test_stored_metrics_that_cannot_be_shown() -> None:
    def fail(model: Any) -> Any:
        raise Speechless

    for function in (fail, lambda model: Unprintable(), lambda model: {"f1": Unprintable()}):
        with pytest.raises(SettingsError, match=r"RuntimeError|Speechless"):
            StoredMetrics(function, lambda: None)
    with pytest.raises(SettingsError, match="not a finite number"):
        StoredMetrics(lambda model: {"f1": 10**400}, lambda: None)
    with pytest.raises(SettingsError, match="not a finite number"):
        StoredMetrics(lambda model: {"f1": np.bool_(True)}, lambda: None)


def _a_file(folder: Path) -> None:
    folder.write_text("")


def _a_dangling_link(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def _a_folder_in_the_place_of(name: str) -> Callable[[Path], None]:
    def made(folder: Path) -> None:
        (folder / name).mkdir(parents=True)

    return made


@pytest.mark.parametrize(
    ("lay", "why"),
    [
        (_a_file, "is no folder"),
        (_a_dangling_link, "is a link that leads nowhere"),
        (_a_folder_in_the_place_of("outcome.json"), "outcome.json in it is a folder"),
        (_a_folder_in_the_place_of("best_model.json"), "best_model.json in it is a folder"),
    ],
)
def test_a_run_folder_that_cannot_be_one_is_refused_before_anything_is_spent(
    tmp_path: Path, lay: Callable[[Path], None], why: str
) -> None:
    lay(tmp_path / "run")
    host = FakeHost()
    with pytest.raises(SettingsError, match=f"cannot be used: .*{why}.*output_dir"):
        run(host, tmp_path / "run")
    assert not host.calls


def test_links_in_a_run_folder_are_replaced_and_never_written_through(tmp_path: Path) -> None:
    folder, precious = tmp_path / "run", tmp_path / "precious"
    run(FakeHost(), tmp_path / "first")
    folder.mkdir()
    precious.write_text("precious")
    for made in (tmp_path / "first").iterdir():
        for name in (made.name, f"{made.name}.{os.getpid()}.partial"):
            (folder / name).symlink_to(precious)
    assert run(FakeHost(), folder).outcome.found
    assert precious.read_text() == "precious"
    assert not any((folder / m.name).is_symlink() for m in (tmp_path / "first").iterdir())
