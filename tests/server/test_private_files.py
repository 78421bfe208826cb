"""What the store's files tell other users of the machine, and folders of odd names."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.tokens import TokenStore
from tests.engine.examples import discrete


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("kind", ["engine", "tokens"])
def test_a_new_store_is_for_its_user_only(open_umask: None, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a" / "b" / "store.db"
    url = f"sqlite:///{path}"
    if kind == "engine":
        driver = EmbeddedDriver(url)
        driver.answer("POST", ["experiments"], discrete(2))
    else:
        tokens = TokenStore(url)
        tokens.create("one")
    files = sorted(path.parent.iterdir())
    assert path in files
    assert [mode(file) for file in files] == [0o600] * len(files)
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700


def test_what_is_there_keeps_its_rights(tmp_path: Path) -> None:
    """Who shares a store on purpose is not locked out."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o770)
    path = folder / "store.db"
    path.touch()
    path.chmod(0o660)
    EmbeddedDriver(f"sqlite:///{path}").close()
    assert (mode(folder), mode(path)) == (0o770, 0o660)


@pytest.mark.parametrize("name", [b"caf\xe9", b"esc\x1b[2J", b"new\nline"])
def test_a_folder_of_any_name_holds_a_store(tmp_path: Path, name: bytes) -> None:
    folder = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(folder)
    command = [sys.executable, "-m", "nc_sigopt_strategy.cli.main", "token"]
    url = b"sqlite:///" + folder + b"/store.db"

    def run(*arguments: str, url: bytes = url) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*command, *arguments, "--storage", url],
            capture_output=True, check=False, timeout=120, cwd=folder,
        )  # fmt: skip

    made = run("create", "one")
    assert made.returncode == 0, made.stderr
    assert b"one" in run("list").stdout
    assert os.listdir(folder) == [b"store.db"]
    # What cannot be opened is told in one line without a traceback.
    wrong = run("list", url=b"sqlite:///" + folder)
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.startswith(b"nc-sigopt: error: ")
    assert wrong.stderr.count(b"\n") == 1
