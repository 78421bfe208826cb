"""Commands, options, make targets and extras that the pages name exist, and short scripts run."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from nc_sigopt_strategy.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCED = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (?! )(.*)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


def code(page: Path) -> Iterator[str]:
    """Lines of code on a page: in blocks, indented, between backticks."""
    text = page.read_text(encoding="utf-8")
    for block in _FENCED.findall(text):
        yield from block.splitlines()
    prose = _FENCED.sub("", text)
    yield from _INDENTED.findall(prose)
    yield from _INLINE.findall(prose)


def unknown_in(line: str) -> str | None:
    """What a command line of ``nc-sigopt`` names that there is not; None where all is there."""
    words = line.split("#")[0].replace("[", " ").replace("]", " ").split()[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
        if words[0].startswith("-"):
            break
        found = command.get_command(context, words[0])
        if found is None:
            return words[0]
        command = found
        words = words[1:]
    options = {option for parameter in command.params for option in parameter.opts}
    options |= {"--help", "--version"}
    given = {option.group() for word in words if (option := re.match(r"--[a-z][\w-]*", word))}
    return next(iter(sorted(given - options)), None)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    for line in code(page):
        if re.match(r"nc-sigopt\b", line):
            assert unknown_in(line) is None, f"{line!r} names {unknown_in(line)}"


def test_a_wrong_command_or_option_is_noticed() -> None:
    assert unknown_in("nc-sigopt tunes model.onnx") == "tunes"
    assert unknown_in("nc-sigopt token create worker --scopes read") == "--scopes"
    assert unknown_in("nc-sigopt tune model.onnx --data x.py  # --not-an-option") is None


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    rules = re.findall(r"^([\w -]+?)\s*:(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    for line in code(page):
        named = re.match(r"make ([a-z][\w-]*)", line)
        if named is not None:
            assert named.group(1) in targets, line


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_extras_that_are_named_exist(page: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = set(setup["options.extras_require"])
    for line in code(page):
        for named in re.findall(r"'\.\[([\w,-]+)\]'", line):
            assert set(named.split(",")) <= extras, line
