"""Whose an open suggestion is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nc_sigopt_strategy.experiments.lease import Lease, LeaseKeeper, Standing, Worker, this_process

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


def test_a_second_process_of_the_same_name_leaves_the_first_ones_alone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    here = this_process().partition(":")[0]
    try:
        held = _lease("me", process=f"{here}:{process.pid}")
        assert ME.standing(held) is Standing.ALIVE
        # In a container of its own: the same process id says nothing.
        assert ME.standing(_lease("me", process=f"elsewhere:{os.getpid()}")) is Standing.ALIVE
        # It sleeps: its suggestion is given up, so that it cannot observe it when it wakes up.
        slept = dataclasses.replace(held, expires=time.time() - 1)
        assert ME.standing(slept) is Standing.ABANDONED
    finally:
        process.kill()
        process.wait()
    assert ME.standing(held) is Standing.MINE


def test_a_process_id_that_was_given_out_again_is_another_process() -> None:
    here, pid, began = this_process().split(":")
    assert ME.standing(_lease(process=f"{here}:{pid}:{began}")) is Standing.ALIVE
    assert ME.standing(_lease(process=f"{here}:{pid}:{int(began) - 1}")) is Standing.ABANDONED
    assert ME.standing(_lease(process=f"{here}:{pid}")) is Standing.ALIVE


@pytest.mark.parametrize("expires", ["soon", "nan", "inf", float("nan"), 10**400, [], None])
def test_a_lease_that_says_nonsense_has_run_out(expires: object) -> None:
    lease = Lease.from_metadata({**_lease().to_metadata(), "lease_expires": expires})
    assert lease is not None
    assert ME.standing(lease) is Standing.ABANDONED


@pytest.mark.parametrize("process", ["", ":", "::", "x:-1:0", "x:99999999999999999999", "x:٣"])
def test_a_process_that_says_nonsense_counts_as_running(process: str) -> None:
    here = this_process().partition(":")[0]
    assert ME.standing(_lease(process=process.replace("x", here))) is Standing.ALIVE


def test_a_new_name_fits_and_is_the_same_twice() -> None:
    worker = Worker("w" * 64)
    assert worker.renamed() == worker.renamed()
    assert worker.renamed().name != worker.name
    assert len(worker.renamed().name) <= 64
