"""How commands speak: for people, for programs, or next to nothing."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from nc_sigopt_strategy.errors import visible
from nc_sigopt_strategy.results.trial_record import json_safe

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LOGGER = "nc_sigopt_strategy"
_JSON = ("--json",)
_QUIET = ("-q", "--quiet")
_VERBOSE = ("-v", "--verbose")


@dataclass(frozen=True)
class Output:
    """What the options ``--json``, ``--quiet`` and ``--verbose`` of a command ask for.

    What a command finds goes to standard output, what it tells on the way to standard error.

    Attributes:
        as_json: What is found is printed as JSON, and nothing else there.
        quiet: Nothing is told on the way, and of what is found only what matters.
        verbose: What is logged is shown, and the traceback of an error.
    """

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def progress(self) -> bool | None:
        """As ``TuningProgress``'s ``enabled``: log lines would be drawn over by a live bar."""
        return False if self.quiet or self.verbose else None

    def teller(self) -> Callable[[str], None]:
        """A function that writes lines to where standard error leads now; none when quiet.

        On a descriptor of its own: while models are timed, descriptor 2 points at a log file.
        """
        if self.quiet:
            return _nothing
        from nc_sigopt_strategy.console.stderr import duplicate_of_stderr

        stream = duplicate_of_stderr()

        def tell(line: str) -> None:
            stream.write(f"{line}\n")
            stream.flush()

        return tell

    def found(self, value: Any, *lines: str, further: str = "") -> None:
        """Print what was found.

        Args:
            value: For programs; NaN and infinities become ``null``.
            lines: For people.
            further: A line for people who want to know more; not when quiet.
        """
        if self.as_json:
            print_json(value)
            return
        for line in (*lines, *filter(None, () if self.quiet else (further,))):
            click.echo(line)


def output_options(
    *, as_json: bool = True, quiet: bool = True, verbose: bool = True
) -> Callable[[_Command], _Command]:
    """Give a command the options that say how it speaks; it gets an ``Output`` as ``output``.

    It stands above ``errors_as_one_line``, which then shows tracebacks where they are wanted.

    Args:
        as_json: Whether it finds anything that a program could want.
        quiet: Whether it says more than what it finds.
        verbose: Whether there is anything to see beside that.
    """
    options = []
    if as_json:
        options.append(_flag("as_json", _JSON, "Print what was found as JSON, and nothing else."))
    if quiet:
        options.append(
            _flag("quiet", _QUIET, "Tell nothing on the way; say what came of it in short.")
        )
    if verbose:
        options.append(
            _flag("verbose", _VERBOSE, "Show what is logged, and the traceback of an error.")
        )

    def with_options(command: _Command) -> _Command:
        @functools.wraps(command)
        def speaking(*args: Any, **kwargs: Any) -> Any:
            said = {name: kwargs.pop(name, False) for name in ("as_json", "quiet", "verbose")}
            output = Output(**said)
            with _log_shown(output.verbose):
                return command(*args, output=output, **kwargs)

        found: Callable[..., Any] = speaking
        for option in reversed(options):
            found = option(found)
        return found  # type: ignore[return-value]

    return with_options


def print_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinities become null."""
    click.echo(json.dumps(json_safe(value), indent=2))


def _flag(name: str, written: tuple[str, ...], said: str) -> Callable[[Any], Any]:
    return click.option(*written, name, is_flag=True, help=said)


def _nothing(line: str) -> None:
    """Tells nothing."""


@contextmanager
def _log_shown(shown: bool) -> Iterator[None]:
    """What this package logs, on standard error; a run sends it to its own file besides."""
    if not shown:
        yield
        return
    logger = logging.getLogger(_LOGGER)
    handler, level = _OnStderr(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if level == logging.NOTSET else min(level, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _OnStderr(logging.Handler):
    """Lines to standard error, wherever that leads by then."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; what could move a terminal's cursor is made visible."""
        for line in self.format(record).splitlines():
            click.echo(visible(line), err=True)
