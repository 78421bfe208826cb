"""Where Neural Compressor's log goes while a run has its own screen."""

from __future__ import annotations

import errno
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nc_sigopt_strategy.console.log_file import OffScreen, logs_in
from tests.support.log_screen import INC, OURS, log_screen


@pytest.fixture
def screen() -> Iterator[io.StringIO]:
    """INC's handler on a screen, which is ours too, as registering leaves them."""
    with log_screen() as stream:
        yield stream


def log_both(place: str) -> None:
    INC.info("theirs %s", place)
    OURS.info("ours %s", place)


def test_theirs_is_in_the_file_alone_and_ours_in_both(screen: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.txt"
    log = OffScreen(path)
    assert log.path == path
    log_both("inside")
    written = path.read_text()
    assert "[INFO] theirs inside" in written, "before it is closed: the process may die"
    assert "[INFO] ours inside" in written
    log.give_back()
    log.give_back()
    log_both("after")
    assert screen.getvalue().splitlines() == ["ours inside", "theirs after", "ours after"]
    assert "after" not in path.read_text()


def test_what_the_program_itself_logs_to_stays(screen: io.StringIO, tmp_path: Path) -> None:
    own = logging.FileHandler(tmp_path / "own.txt")
    INC.addHandler(own)
    log = OffScreen(tmp_path / "log.txt")
    log_both("inside")
    log.give_back()
    own.close()
    assert "theirs inside" in (tmp_path / "own.txt").read_text()
    assert INC.handlers[0] is own or own in INC.handlers


def test_where_nothing_is_on_the_screen_nothing_is_done(tmp_path: Path) -> None:
    with logs_in(tmp_path / "log.txt"):
        log = OffScreen(tmp_path / "other.txt")
        log_both("inside")
        log.give_back()
    assert log.path is None
    assert not (tmp_path / "other.txt").exists()
    assert (tmp_path / "log.txt").read_text().count("inside") == 2


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(
    screen: io.StringIO, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("a file")
    log = OffScreen(tmp_path / "run" / "log.txt")
    log_both("inside")
    log.give_back()
    first, *lines = screen.getvalue().splitlines()
    assert "log stays here" in first
    assert lines == ["theirs inside", "ours inside"]


def test_a_logger_that_was_set_up_anew_meanwhile_writes_once(
    screen: io.StringIO, tmp_path: Path
) -> None:
    log = OffScreen(tmp_path / "log.txt")
    INC.handlers[:] = [logging.StreamHandler(screen)]
    log.give_back()
    INC.info("theirs")
    assert screen.getvalue().splitlines() == ["theirs"]


@pytest.mark.parametrize("trap", ["link", "pipe"])
def test_a_trap_in_the_files_place_is_not_written_to(
    trap: str, screen: io.StringIO, tmp_path: Path
) -> None:
    path, other = tmp_path / "log.txt", tmp_path / "other.txt"
    other.write_text("precious")
    if trap == "link":
        path.symlink_to(other)
    else:
        os.mkfifo(path)
    log = OffScreen(path)
    log_both("inside")
    log.give_back()
    assert other.read_text() == "precious"
    assert "log stays here" in screen.getvalue()
    assert "theirs inside" in screen.getvalue()


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_said_once(
    screen: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = OffScreen(tmp_path / "log.txt")
    (handler,) = [h for h in INC.handlers if isinstance(h, logging.FileHandler)]
    handler.stream.close()
    handler.stream = FullDisk()  # type: ignore[assignment]
    log_both("one")
    log_both("two")
    log.give_back()
    said = capsys.readouterr().err
    assert said.count("cannot be written to: [Errno 28] No space left") == 1
    assert "Traceback" not in said
    assert "ours two" in screen.getvalue()
