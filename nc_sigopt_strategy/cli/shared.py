"""What all commands of ``nc-sigopt`` share: exit codes, errors, where they tell what goes on."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nc_sigopt_strategy.errors import SigOptStrategyError, UsersCodeError, visible
from nc_sigopt_strategy.tuning.ending_signals import EndingSignals

FOUND, NOTHING_FOUND, WRONG_USE, CRASHED, INTERRUPTED = 0, 1, 2, 3, 130
_Command = TypeVar("_Command", bound=Callable[..., Any])
EXIT_CODES = (
    "Exit codes: 0 a model that meets the bound and is faster than FP32 was found, 1 none was, "
    "2 wrong use, 3 your own code failed, "
    "130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP; what was found by then is written."
)


def errors_as_one_line(command: _Command) -> _Command:
    """Turn our own errors into one line on standard error and exit code 2.

    An error of the user's own code has its traceback above, and exit code 3.
    """

    @functools.wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except UsersCodeError as error:
            _tell_traceback(kwargs)
            tell_crash(error.traceback, str(error))
            sys.exit(CRASHED)
        except SigOptStrategyError as error:
            _tell_traceback(kwargs)
            click.echo(f"nc-sigopt: error: {visible(str(error))}", err=True)
            sys.exit(WRONG_USE)
        except KeyboardInterrupt:
            click.echo("nc-sigopt: interrupted", err=True)
            sys.exit(INTERRUPTED)

    return guarded  # type: ignore[return-value]


def _tell_traceback(options: dict[str, Any]) -> None:
    """Where an error came up, under ``--verbose``; see ``output_options``."""
    if getattr(options.get("output"), "verbose", False):
        click.echo(traceback.format_exc().rstrip(), err=True)


def closed_on_signals(command: _Command) -> _Command:
    """Let SIGTERM and SIGHUP end a command that runs a model as Ctrl-C does."""

    @functools.wraps(command)
    def closing(*args: Any, **kwargs: Any) -> Any:
        with EndingSignals():
            return command(*args, **kwargs)

    return closing  # type: ignore[return-value]


def tell_crash(way: str, message: str) -> None:
    """Show on standard error where the user's own code failed, and what came of it."""
    for line in filter(None, (way.rstrip(), f"nc-sigopt: error: {message}")):
        click.echo(line, err=True)


def accept_fp32_option(command: _Command) -> _Command:
    """The option that a model no faster than FP32 is a success too."""
    return click.option(
        "--accept-fp32",
        is_flag=True,
        help="Exit code 0 also where no model that meets the bound is faster than FP32.",
    )(command)
