"""The run folder: on a full disk, under a name that is no text, and out of others' sight."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.experiments.opening import join_on, list_experiments
from nc_sigopt_strategy.files import make_private, parse_json, staged, write_whole
from nc_sigopt_strategy.reports.run_record import read_run
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.testing.fake_host import FakeHost
from nc_sigopt_strategy.tuning.budget import Budget
from nc_sigopt_strategy.tuning.ending import Ended
from nc_sigopt_strategy.tuning.loop import tune
from nc_sigopt_strategy.tuning.preparation import prepare


def run(folder: Path, store: Path) -> Ended:
    settings = Settings.from_kwargs({"storage": f"sqlite:///{store}", "progress": False})
    host = FakeHost(tolerable_loss=0.5)
    preparation = prepare(host, settings, folder=folder, seed=0)
    return tune(preparation, Budget(6, 0.0, False, clock=host.clock))


class SmallDisk:
    """Stands in for a disk: what does not fit any more is half written, as on a real one."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._write = Path.write_bytes

    def write(self, path: Path, data: Any) -> int:
        if self._folder not in path.parents:
            return self._write(path, data)
        used = sum(p.stat().st_size for p in self._folder.rglob("*") if p.is_file() and p != path)
        room = max(0, self._size - used)
        self._write(path, bytes(data)[:room])
        if len(data) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return len(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


# The page alone takes some 70 kB; 20 kB hold all the rest.
def test_a_full_disk_keeps_what_matters_most(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(folder, 20_000)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: disk.write(path, data))
    run(folder, folder.parent / "store.sqlite3")
    written = read_outcome(folder)
    assert written.found
    assert set(written.files) == {"outcome", "trials", "recipe", "model"}
    assert all((folder / name).is_file() for name in written.files.values())
    assert len(read_trials(folder)) == 6
    assert not list(folder.glob("*.partial"))


def test_a_disk_that_is_full_from_the_start_is_said_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SmallDisk(folder, 0)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: disk.write(path, data))
    ended = run(folder, folder.parent / "store.sqlite3")
    assert "No space left on device" in ended.outcome.stop_reason
    assert not ended.outcome.found
    assert not list(folder.glob("*.partial"))
    assert not any(record.exc_info for record in caplog.records if record.levelname == "ERROR")


def test_what_does_not_fit_takes_no_space_from_what_comes_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(folder, 1000)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: disk.write(path, data))
    with pytest.raises(OSError, match="No space left"):
        write_whole(folder / "large", bytes(5000))
    assert write_whole(folder / "small", bytes(900)).stat().st_size == 900


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    for name in ("weights", "document"):
        write_whole(tmp_path / name, f"old {name}")

    def fail() -> None:
        with staged(tmp_path / "weights", tmp_path / "document") as (weights, _):
            weights.write_text("new weights")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "weights": "old weights",
        "document": "old document",
    }


def test_a_document_is_never_beside_the_weights_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("weights", "document")
    for name in names:
        write_whole(tmp_path / name, "old")
    seen: list[set[str]] = []
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        there = {n: (tmp_path / n).read_text() for n in names if (tmp_path / n).exists()}
        seen.append(set(there.values()) if "document" in there else set())
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    with staged(tmp_path / "weights", tmp_path / "document") as partials:
        for partial in partials:
            partial.write_text("new")
    assert len(seen) == 2
    assert all(len(versions) <= 1 for versions in seen)
    assert {(tmp_path / name).read_text() for name in names} == {"new"}


@pytest.fixture
def odd_name(tmp_path: Path) -> Path:
    """A folder whose name is no UTF-8, if the file system knows such names."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    return folder


def test_a_folder_whose_name_is_no_text(odd_name: Path, caplog: pytest.LogCaptureFixture) -> None:
    # What is captured travels between test processes as UTF-8.
    caplog.set_level(logging.CRITICAL, logger="nc_sigopt_strategy")
    ended = run(odd_name / "run", odd_name.parent / "store.sqlite3")
    assert set(ended.outcome.files) == {"outcome", "trials", "recipe", "model", "report"}
    assert read_run(odd_name / "run").outcome == ended.outcome


def test_folders_of_runs_are_their_owners_only(tmp_path: Path) -> None:
    run(tmp_path / "runs" / "one", tmp_path / "store.sqlite3")
    made = new_run_folder("model", tmp_path / "runs", "test")
    for folder in (tmp_path / "runs" / "one", made):
        assert folder.stat().st_mode & 0o777 == 0o700
    # One that is there is its owner's to share.
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    make_private(shared)
    assert shared.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5_000, '{"a": '])
def test_hostile_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        parse_json(text)


_FILLS = """
import logging, os, sys
from pathlib import Path
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.tuning.test_run_folder import run

logging.basicConfig(level=logging.INFO, format="%(message)s")
disk, folder, store, leaves = Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4])
evaluate, calls = FakeHost.evaluate, []
def fills(self, model):
    calls.append(model)
    if len(calls) == 3:
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_bsize - leaves))
    return evaluate(self, model)
FakeHost.evaluate = fills
ended = run(Path(folder), Path(store))
print(ended.outcome.stop_reason)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 2 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mounting, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("leaves", [0, 20_000])
@pytest.mark.parametrize("where", ["run", "store", "both"])
def test_a_real_disk_that_fills_up_in_mid_run(
    tmp_path: Path, small_disk: Path, where: str, leaves: int
) -> None:
    folder = (tmp_path if where == "store" else small_disk) / "run"
    store = (tmp_path if where == "run" else small_disk) / "store.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", _FILLS, small_disk, folder, store, str(leaves)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("*.partial"))
    (small_disk / "ballast").unlink()
    connection = open_embedded(f"sqlite:///{store}")
    (document,) = list_experiments(connection)
    stored = [r.in_words() for r, _ in join_on(connection, str(document.id)).trials()]
    connection.impl.driver.close()
    confirmed = [
        line.partition(" Best so far")[0]
        for line in done.stderr.splitlines()
        if "Best so far" in line
    ]
    assert len(confirmed) >= 2
    assert not set(confirmed) - set(stored), "what was confirmed is there"
    for path in folder.glob("*.json"):
        parse_json(path.read_text())
    if where == "store" or (leaves and where == "run"):
        outcome = read_outcome(folder)
        assert all((folder / name).is_file() for name in outcome.files.values())
    else:
        assert "The outcome could not be written" in done.stdout
    if where != "run":
        assert "full" in done.stdout
