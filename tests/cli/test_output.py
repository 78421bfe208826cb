"""How commands speak: ``--json``, ``--quiet`` and ``--verbose``, the same on each of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.output import Output, output_options
from nc_sigopt_strategy.cli.shared import FOUND, WRONG_USE, errors_as_one_line
from nc_sigopt_strategy.errors import DataError
from tests.cli.test_cli import invoke

# What has nothing to say to a program: servers, what draws tables for people only, and what prints
# a document of its own.
WITHOUT_JSON = {"serve", "dashboard", "landscape", "race", "schema"}


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


@pytest.mark.parametrize(("name", "command"), [pytest.param(*c, id=c[0]) for c in commands(cli)])
def test_every_command_has_the_same_options(name: str, command: click.Command) -> None:
    written = {word: option for option in command.params for word in option.opts}
    assert {"-v", "--verbose"} <= set(written)
    assert ("--json" in written) == (name not in WITHOUT_JSON)
    for word, kept_for in (("-q", "--quiet"), ("-v", "--verbose")):
        assert (word in written) == (kept_for in written)
        if word in written:
            assert written[word] is written[kept_for]


@click.command()
@output_options()
@errors_as_one_line
def speaking(output: Output) -> None:
    """Says all that there is to say."""
    output.teller()("on the way")
    logging.getLogger("nc_sigopt_strategy").info("logged \x1b[2J")
    output.found({"found": float("nan")}, "found", further="further")


@click.command()
@output_options()
@errors_as_one_line
def failing(output: Output) -> None:
    """Fails."""
    raise DataError("There is no data.", "Bring some.")


@pytest.mark.parametrize(
    ("options", "out", "err"),
    [
        ((), "found\nfurther\n", "on the way\n"),
        (("-q",), "found\n", ""),
        (("-v",), "found\nfurther\n", "on the way\nlogged \\x1b[2J\n"),
        (("-q", "-v"), "found\n", "logged \\x1b[2J\n"),
    ],
    ids=["plain", "quiet", "verbose", "both"],
)
def test_what_is_said(options: tuple[str, ...], out: str, err: str) -> None:
    logger = logging.getLogger("nc_sigopt_strategy")
    before = (logger.handlers[:], logger.level)
    result = CliRunner().invoke(speaking, list(options))
    assert (result.stdout, result.stderr) == (out, err)
    assert (logger.handlers[:], logger.level) == before


def test_json_is_all_that_is_on_standard_output() -> None:
    for options in (["--json"], ["--json", "-q"], ["--json", "-v"]):
        assert json.loads(CliRunner().invoke(speaking, options).stdout) == {"found": None}


def test_an_error_is_one_line_and_with_verbose_has_its_traceback() -> None:
    plain = CliRunner().invoke(failing, [])
    assert plain.exit_code == WRONG_USE
    assert plain.stderr == "nc-sigopt: error: There is no data. Bring some.\n"
    verbose = CliRunner().invoke(failing, ["-v"])
    assert "Traceback" in verbose.stderr
    assert verbose.stderr.endswith(plain.stderr)


def test_tokens_for_programs(tmp_path: Path) -> None:
    store = ("--storage", f"sqlite:///{tmp_path}/store.sqlite3")

    def said(*arguments: str) -> Any:
        result = invoke("token", *arguments, *store, "--json")
        assert result.exit_code == FOUND, result.output
        return json.loads(result.stdout)

    made = said("create", "ci", "--scope", "read")
    assert (made["name"], made["scope"]) == ("ci", "read")
    assert len(made["token"]) > 30
    (listed,) = said("list")
    assert (listed["name"], listed["revoked"], listed["last_used"]) == ("ci", False, None)
    assert made["token"] not in json.dumps(listed)
    assert said("revoke", "ci")["revoked"] is True


def test_quiet_token_is_the_token_alone(tmp_path: Path) -> None:
    result = invoke("token", "create", "ci", "--storage", f"sqlite:///{tmp_path}/s.sqlite3", "-q")
    assert result.stderr == ""
    assert len(result.stdout.split()) == 1


def test_a_table_on_standard_output_is_not_json_too(tmp_path: Path) -> None:
    result = invoke("experiments", "export", "1", "--output", "-", "--json")
    assert result.exit_code == WRONG_USE
    assert "--output -" in result.stderr
