"""One trial at a time on a machine, whatever becomes of the process that has its turn."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from nc_sigopt_strategy.errors import StoreError
from nc_sigopt_strategy.tuning import machine_lock
from nc_sigopt_strategy.tuning.machine_lock import MachineLock
from nc_sigopt_strategy.tuning.users_locks import users_lock_folder

_HOLDER = """
import sys, time
from pathlib import Path
from nc_sigopt_strategy.tuning.machine_lock import MachineLock
lock = MachineLock(True, Path(sys.argv[1]))
lock.take()
print("held", flush=True)
time.sleep(600)
"""


def test_one_process_at_a_time_and_a_dead_one_lets_go(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"

    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    lock = MachineLock(True, tmp_path)
    with pytest.raises(Enough):
        lock.take(check)
    process.kill()
    process.wait()
    assert lock.take(check) > 0
    assert lock.take(check) == 0.0, "it is held already"
    lock.give()
    lock.give()


def test_a_lock_that_is_off_holds_nobody_up(tmp_path: Path) -> None:
    with MachineLock(True, tmp_path).held(), MachineLock(False, tmp_path).held():
        assert MachineLock(False, tmp_path).take() == 0.0


# Whoever has waited for a while leaves a file. The turns are long enough for the other process to
# ask again meanwhile, on a busy machine too.
_TURNS = """
import sys, time
from pathlib import Path
from nc_sigopt_strategy.tuning.machine_lock import MachineLock
waits = Path(sys.argv[1]) / f"{sys.argv[2]}-waits"
lock = MachineLock(True, Path(sys.argv[1]))
for _ in range(10):
    with lock.held(lambda: waits.touch()):
        with open(Path(sys.argv[1]) / "turns", "a") as turns:
            turns.write(sys.argv[2])
        time.sleep(0.2)
"""


def test_nobody_takes_it_again_before_those_who_wait(tmp_path: Path) -> None:
    with MachineLock(True, tmp_path).held():
        command = [sys.executable, "-c", _TURNS, str(tmp_path)]
        processes = [subprocess.Popen([*command, name]) for name in "ab"]
        for _ in range(2400):
            if all((tmp_path / f"{name}-waits").exists() for name in "ab"):
                break
            time.sleep(0.05)
        else:
            pytest.fail("they do not wait")
    for process in processes:
        assert process.wait(300) == 0
    turns = (tmp_path / "turns").read_text()
    assert len(turns) == 20
    assert "aaaa" not in turns[:15]
    assert "bbbb" not in turns[:15]


_SIGNS = _HOLDER.replace("sys.argv[1])", "sys.argv[1]), name='sleepy', lease_seconds=1.5")


def _holding(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SIGNS, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_stopped_holder_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_lock, "_SAY_AFTER_SECONDS", 0.0)
    process = _holding(tmp_path)
    try:
        process.send_signal(signal.SIGSTOP)
        lock, other = (MachineLock(True, tmp_path, lease_seconds=1.5) for _ in range(2))
        with caplog.at_level(logging.INFO, logger="nc_sigopt_strategy"):
            assert lock.take() > 1.5
        waiting, passed_over = (record.message for record in caplog.records)
        for said in (waiting, passed_over):
            assert f"worker sleepy, process {process.pid} on " in said
        assert "passed over" in passed_over
        # From now on it is this process' turn, also for those who come later.
        with pytest.raises(RuntimeError, match="enough"):
            other.take(_enough)
        process.send_signal(signal.SIGCONT)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(RuntimeError, match="enough"):
        other.take(_enough)
    lock.give()
    assert other.take(_enough) >= 0


def _enough() -> None:
    raise RuntimeError("enough")


def test_a_holder_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    process = _holding(tmp_path)
    # It gives a sign every half second, and on a busy machine later.
    lease = 4.0
    deadline = time.monotonic() + 2.25 * lease

    def check() -> None:
        if time.monotonic() > deadline:
            raise RuntimeError("enough")

    try:
        with pytest.raises(RuntimeError, match="enough"):
            MachineLock(True, tmp_path, lease_seconds=lease).take(check)
    finally:
        process.kill()
        process.wait()


def test_a_lock_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "next-trial.lock").mkdir()
    with pytest.raises(StoreError, match="one_trial_per_machine=False"):
        MachineLock(True, tmp_path).take()


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files, and a home."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


def test_locks_lie_where_nobody_else_writes(shared: Path) -> None:
    folder = users_lock_folder()
    assert folder == users_lock_folder() == shared / f"nc-sigopt-{os.getuid()}"
    folder.chmod(0o777)
    assert users_lock_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("taken_by", ["file", "link", "another user"])
def test_a_name_that_somebody_else_took_is_left_alone(shared: Path, taken_by: str) -> None:
    name = shared / f"nc-sigopt-{os.getuid()}"
    if taken_by == "file":
        name.touch()
    elif taken_by == "link":
        (shared / "elsewhere").mkdir()
        name.symlink_to(shared / "elsewhere")
    elif os.getuid() != 0:
        pytest.skip("only root can make another user's folder")
    else:
        name.mkdir(mode=0o777)
        os.chown(name, 12345, 12345)
    assert shared not in users_lock_folder().parents
    with MachineLock(True).held():
        pass


def test_without_any_folder_the_way_out_is_said(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shared / f"nc-sigopt-{os.getuid()}").touch()
    (shared / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
    with pytest.raises(StoreError, match="TMPDIR"):
        MachineLock(True)
    MachineLock(False)
