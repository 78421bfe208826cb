"""What commands print: for people, for programs, or next to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nc_sigopt_strategy.results.trial_record import json_safe

_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """The option that what is found goes to standard output as JSON."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print what was found as JSON, and nothing else."
    )(command)


def quiet_option(command: _Command) -> _Command:
    """The option that nothing is told while a command works."""
    return click.option(
        "-q", "--quiet", is_flag=True, help="Tell nothing while it runs; say what came of it."
    )(command)


def verbose_option(command: _Command) -> _Command:
    """The option that what goes to the log is shown too."""
    return click.option(
        "-v", "--verbose", is_flag=True, help="Show what is logged, in place of the bar."
    )(command)


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinities become null."""
    click.echo(json.dumps(json_safe(value), indent=2))
