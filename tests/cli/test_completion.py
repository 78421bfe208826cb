"""What the Tab key offers, and where the script for it goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.cli.shared import FOUND, WRONG_USE
from tests.cli.test_cli import _environment, invoke


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "my home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def asked(shell: str, *words: str) -> str:
    """What the program answers to a shell that completes the last word."""
    environment = {
        **_environment(),
        "_NC_SIGOPT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words[:-1] if shell == "fish" else words),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "nc_sigopt_strategy.cli"],
        capture_output=True, text=True, timeout=120, check=True, env=environment,
    )  # fmt: skip
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_tab_in_a_new_bash_completes_commands_and_options(home: Path) -> None:
    """With the program on the path, as pip puts it there."""
    program = home / "bin" / "nc-sigopt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nc_sigopt_strategy.cli "$@"\n')
    program.chmod(0o755)
    (home / ".bashrc").write_text("# mine, without an end of line")
    assert invoke("--install-completion", "bash").exit_code == FOUND
    typed = (
        "COMP_WORDS=(nc-sigopt exp); COMP_CWORD=1; COMPREPLY=()\n"
        '_nc_sigopt_completion nc-sigopt; echo "${COMPREPLY[@]}"\n'
        "COMP_WORDS=(nc-sigopt tune --ma); COMP_CWORD=2; COMPREPLY=()\n"
        '_nc_sigopt_completion nc-sigopt; echo "${COMPREPLY[@]}"\n'
    )
    script = f'. "$HOME/.bashrc"\ncomplete -p nc-sigopt\n{typed}'
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=120, check=True,
        env={**_environment(), "PATH": path},
    )  # fmt: skip
    assert done.stdout.splitlines()[-2:] == ["experiments", "--max-trials"]
    assert "-F _nc_sigopt_completion nc-sigopt" in done.stdout


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_their_answers(shell: str) -> None:
    assert "export" in asked(shell, "nc-sigopt", "experiments", "exp")
    assert "--install-completion" in asked(shell, "nc-sigopt", "--inst")
    assert "fish" in asked(shell, "nc-sigopt", "--show-completion", "f")


@pytest.mark.parametrize(
    ("shell", "startup"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)]
)
def test_installing_again_adds_nothing(shell: str, startup: str | None, home: Path) -> None:
    if startup is not None:
        (home / startup).write_text("# mine\n")
    for _ in range(2):
        result = invoke("--install-completion", shell)
        assert result.exit_code == FOUND, result.output
    (script,) = home.rglob(f"nc-sigopt.{shell}")
    assert "_NC_SIGOPT_COMPLETE" in script.read_text()
    if startup is not None:
        mine, ours = (home / startup).read_text().splitlines()
        assert mine == "# mine"
        assert str(script) in ours


def test_a_start_up_file_that_is_a_link_stays_one(home: Path) -> None:
    kept = home / "dotfiles" / "bashrc"
    kept.parent.mkdir()
    kept.write_text("# mine\n")
    (home / ".bashrc").symlink_to(kept)
    invoke("--install-completion", "bash")
    assert (home / ".bashrc").is_symlink()
    assert "nc-sigopt.bash" in kept.read_text()


def test_the_login_shell_is_meant_unless_one_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "nc-sigopt" in invoke("--show-completion").stdout
    invoke("--install-completion")
    assert list(home.rglob("*.fish"))
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    result = invoke("--install-completion")
    assert result.exit_code == WRONG_USE
    assert "tcsh" in result.stderr
    assert "bash, zsh, fish" in result.stderr


def test_a_shell_that_nobody_knows(home: Path) -> None:
    result = invoke("--install-completion", "tcsh")
    assert result.exit_code == WRONG_USE
    assert "'tcsh' is not one of bash, zsh, fish" in result.stderr


def test_what_cannot_be_written_is_one_clear_error(home: Path) -> None:
    (home / ".bashrc").mkdir()
    result = invoke("--install-completion", "bash")
    assert result.exit_code == WRONG_USE
    assert "--show-completion bash" in result.stderr
    assert len(result.stderr.splitlines()) == 1
