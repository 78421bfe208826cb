"""Whose an open suggestion is."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.experiments.lease import Lease, LeaseKeeper, Standing, Worker, this_process
from nc_sigopt_strategy.testing.fake_clock import FakeClock

ME = Worker("me", lease_seconds=60.0)
HOURS = 3600.0


def _after_a_lease(*leases: Lease, renewed: Callable[[Lease], Lease] = lambda lease: lease) -> Any:
    """How leases stand to a worker that has looked at them for more than they last."""
    clock = FakeClock()
    me = Worker("me", 60.0, clock)
    for lease in leases:
        assert me.standing(lease) is Standing.ALIVE
    clock.advance(59.0)
    for lease in leases:
        assert me.standing(lease) is Standing.ALIVE
    clock.advance(2.0)
    (found,) = {me.standing(renewed(lease)) for lease in leases}
    return found


def _lease(worker: str = "other", process: str = "elsewhere:1", expires_in: float = 60.0) -> Lease:
    return Lease(worker, "host", process, time.time() + expires_in)


def _ended_process() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{this_process().partition(':')[0]}:{process.pid}"


def test_own_leases_stay_own() -> None:
    assert ME.standing(ME.lease()) is Standing.MINE
    assert ME.standing(_lease("me", this_process(), expires_in=-1000)) is Standing.MINE
    assert ME.standing(None) is Standing.MINE


def test_others_are_left_alone_while_their_lease_runs() -> None:
    assert ME.standing(_lease()) is Standing.ALIVE
    assert ME.standing(_lease(process=this_process())) is Standing.ALIVE
    assert _after_a_lease(_lease()) is Standing.ABANDONED


@pytest.mark.parametrize("ahead", [-2 * HOURS, -1.0, 0.0, 2 * HOURS, 1e9])
def test_the_clocks_of_other_machines_say_nothing(ahead: float) -> None:
    lease = _lease(expires_in=60.0 + ahead)

    def renewed(lease: Lease) -> Lease:
        return dataclasses.replace(lease, expires=lease.expires + 30.0)

    assert _after_a_lease(lease) is Standing.ABANDONED
    assert _after_a_lease(lease, renewed=renewed) is Standing.ALIVE
    # Of a process that died with two of them each is looked at by itself.
    assert _after_a_lease(lease, renewed(lease)) is Standing.ABANDONED


def test_a_renewal_shows_where_the_holders_clock_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    other = Worker("other", 60.0)

    def elsewhere(lease: Lease) -> Lease:
        return dataclasses.replace(lease, process="elsewhere:1")

    assert _after_a_lease(elsewhere(other.lease())) is Standing.ABANDONED
    found = _after_a_lease(elsewhere(other.lease()), renewed=lambda _: elsewhere(other.lease()))
    assert found is Standing.ALIVE


def test_a_holder_with_a_longer_lease_is_waited_for_longer() -> None:
    clock = FakeClock()
    me = Worker("me", 60.0, clock)
    for seconds, waits in ((100.0, 101.0), (1e9, 24 * HOURS + 1), (-5.0, 61.0)):
        metadata = {**_lease().to_metadata(), "lease_seconds": seconds, "lease_sign": str(seconds)}
        lease = Lease.from_metadata(metadata)
        assert me.standing(lease) is Standing.ALIVE
        clock.advance(waits - 2)
        assert me.standing(lease) is Standing.ALIVE
        clock.advance(2)
        assert me.standing(lease) is Standing.ABANDONED


def test_a_worker_that_slept_does_not_take_for_dead_who_slept_too() -> None:
    """The clock of the day goes on while a machine sleeps, the monotonic one does not."""
    clock = FakeClock()
    me = Worker("me", 60.0, clock)
    lease = _lease(expires_in=-8 * HOURS)
    for _ in range(3):
        assert me.standing(lease) is Standing.ALIVE
        clock.advance(15.0)


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
        assert _after_a_lease(held) is Standing.ABANDONED
        # A container that began anew under its name has no other way to know.
        assert _after_a_lease(_lease("me")) is Standing.MINE
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
@pytest.mark.parametrize("seconds", ["soon", "nan", -1, 10**400, None])
def test_a_lease_that_says_nonsense_runs_out(expires: object, seconds: object) -> None:
    said = {"lease_expires": expires, "lease_seconds": seconds, "lease_sign": [expires]}
    lease = Lease.from_metadata({**_lease().to_metadata(), **said})
    assert lease is not None
    assert lease.has_run_out
    assert _after_a_lease(lease) is Standing.ABANDONED


@pytest.mark.parametrize("process", ["", ":", "::", "x:-1:0", "x:99999999999999999999", "x:٣"])
def test_a_process_that_says_nonsense_counts_as_running(process: str) -> None:
    here = this_process().partition(":")[0]
    assert ME.standing(_lease(process=process.replace("x", here))) is Standing.ALIVE


def test_a_new_name_fits_and_is_the_same_twice() -> None:
    worker = Worker("w" * 64)
    assert worker.renamed() == worker.renamed()
    assert worker.renamed().name != worker.name
    assert len(worker.renamed().name) <= 64
