"""Commands of other packages: there when they work, in nobody's way when they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import WRONG_USE
from tests.cli.plugged import WITHOUT_HARNESS, plug_in

COMMANDS = """[nc_sigopt.commands]
greet = greeting:greet
absent = not_there_at_all:command
number = greeting:NUMBER
tune = greeting:greet
"""
GREETING = """
import click

NUMBER = 7


@click.command()
def greet():
    "Say hello."
    click.echo("hello")
"""


@pytest.fixture(autouse=True)
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(tmp_path, COMMANDS, "greeter")
    (tmp_path / "greeting.py").write_text(GREETING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "greeting", raising=False)


def test_a_command_of_another_package() -> None:
    result = CliRunner().invoke(cli, ["greet"])
    assert (result.exit_code, result.output) == (0, "hello\n")


def test_it_is_not_imported_for_another_command() -> None:
    CliRunner().invoke(cli, ["experiments", "--help"])
    assert "greeting" not in sys.modules


def test_own_commands_take_precedence() -> None:
    assert "MODEL|CONFIG" in CliRunner().invoke(cli, ["tune", "--help"]).output


def test_all_are_listed_whether_they_work_or_not() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for shown in ("greet ", "Say hello.", "absent ", "(It cannot be loaded", "serve ", "compare "):
        assert shown in result.output


@pytest.mark.parametrize(
    ("command", "reason"),
    [("absent", "No module named 'not_there_at_all'"), ("number", "it is of type int")],
)
def test_a_broken_one_says_so_in_one_line(command: str, reason: str) -> None:
    result = CliRunner().invoke(cli, [command, "a", "--b", "c"])
    assert result.exit_code == WRONG_USE
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nc-sigopt: error: The command {command} of greeter cannot be loaded")
    assert reason in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tune", "run.yaml"], "run.yaml is a run configuration, and those are read by the"),
        (["compare", "run.yaml"], "No such command 'compare'"),
    ],
)
def test_without_the_harness_it_is_said_how_to_get_it(arguments: list[str], said: str) -> None:
    program = f"{WITHOUT_HARNESS}\nfrom nc_sigopt_strategy.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == WRONG_USE
    assert said in done.stderr
    assert "pip install ./benchmarks" in done.stderr
    assert "Traceback" not in done.stderr
