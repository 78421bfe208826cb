"""Whose an open suggestion is."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nc_sigopt_strategy.experiments.lease import Lease, LeaseKeeper, Standing, Worker, this_process
from nc_sigopt_strategy.tuning.machine_lock import MachineLock

ME = Worker("me", lease_seconds=60.0)


def _lease(worker: str = "other", process: str = "elsewhere:1", expires_in: float = 60.0) -> Lease:
    return Lease(worker, "host", process, time.time() + expires_in)


def _ended_process() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{this_process().partition(':')[0]}:{process.pid}"


def test_own_leases_stay_own() -> None:
    assert ME.standing(ME.lease()) is Standing.MINE
    assert ME.standing(_lease("me", expires_in=-1000)) is Standing.MINE
    assert ME.standing(None) is Standing.MINE


def test_others_are_left_alone_while_their_lease_runs() -> None:
    assert ME.standing(_lease()) is Standing.ALIVE
    assert ME.standing(_lease(process=this_process())) is Standing.ALIVE
    assert ME.standing(_lease(expires_in=-1)) is Standing.ABANDONED


def test_a_process_of_this_machine_that_ended_is_noticed_at_once() -> None:
    assert ME.standing(_lease(process=_ended_process())) is Standing.ABANDONED
    pid = _ended_process().partition(":")[2]
    assert ME.standing(_lease(process=f"another-machine:{pid}")) is Standing.ALIVE


def test_a_process_that_nobody_has_reaped_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    where = this_process().partition(":")[0]
    stat = Path(f"/proc/{process.pid}/stat")
    for _ in range(600):
        if stat.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    assert ME.standing(_lease(process=f"{where}:{process.pid}")) is Standing.ABANDONED
    process.wait()


def test_metadata_holds_a_lease() -> None:
    lease = ME.lease()
    metadata = lease.to_metadata()
    assert all(isinstance(value, (str, float)) for value in metadata.values())
    found = Lease.from_metadata({**metadata, "origin": "seed"})
    assert found is not None
    assert found.worker == "me"
    assert found.expires == pytest.approx(lease.expires, abs=0.01)
    assert Lease.from_metadata({"worker": "me"}) is None


def test_a_folder_names_a_worker(tmp_path: Path) -> None:
    one, other = Worker.of_folder(tmp_path / "a"), Worker.of_folder(tmp_path / "b")
    assert one == Worker.of_folder(tmp_path / "a")
    assert one.name != other.name
    assert len(one.name) <= 64


def test_the_keeper_renews_what_is_held_and_survives_failures() -> None:
    renewed: list[str] = []
    enough = threading.Event()

    def renew(suggestion: str) -> None:
        renewed.append(suggestion)
        if len(renewed) >= 3:
            enough.set()
        raise ConnectionError("no")

    keeper = LeaseKeeper(renew, 0.01)
    time.sleep(0.05)
    assert renewed == []
    keeper.hold("7")
    assert enough.wait(20)
    keeper.close()
    count = len(renewed)
    time.sleep(0.05)
    assert len(renewed) == count
    assert set(renewed) == {"7"}


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


_TURNS = """
import sys, time
from pathlib import Path
from nc_sigopt_strategy.tuning.machine_lock import MachineLock
lock = MachineLock(True, Path(sys.argv[1]))
for _ in range(10):
    with lock.held():
        with open(Path(sys.argv[1]) / "turns", "a") as turns:
            turns.write(sys.argv[2])
        time.sleep(0.05)
"""


def test_nobody_takes_it_again_before_those_who_wait(tmp_path: Path) -> None:
    with MachineLock(True, tmp_path).held():
        command = [sys.executable, "-c", _TURNS, str(tmp_path)]
        processes = [subprocess.Popen([*command, name]) for name in "ab"]
        time.sleep(3.0)  # both have started and wait
    for process in processes:
        assert process.wait(60) == 0
    turns = (tmp_path / "turns").read_text()
    assert len(turns) == 20
    assert "aaaa" not in turns[:15]
    assert "bbbb" not in turns[:15]
