"""Commands of other packages, imported when they are needed and not before."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from nc_sigopt_strategy.cli.shared import errors_as_one_line
from nc_sigopt_strategy.errors import SigOptStrategyError

# Each entry point of this group is a click command, under the name of the command.
COMMANDS = "nc_sigopt.commands"


class BrokenCommandError(SigOptStrategyError):
    """A command that another package adds cannot be loaded."""


class PluggableGroup(click.Group):
    """A group with its own commands, and those that entry points of ``nc_sigopt.commands`` name.

    A command that cannot be loaded says so when it is run; the others work.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, sorted."""
        return sorted({*super().list_commands(ctx), *_found()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name; its own take precedence."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = _found().get(cmd_name)
        return None if found is None else _loaded(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; where nothing is plugged in it is said what could be."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if _found():
                raise
            raise click.UsageError(
                f"{error.message} compare and the like come with this project's benchmark "
                "harness: pip install ./benchmarks",
                ctx,
            ) from error


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=COMMANDS)}


def _loaded(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except Exception as error:  # whatever another package raises must not break ours
        return _broken(entry, f"{type(error).__name__}: {error}")
    if isinstance(command, click.Command):
        return command
    return _broken(entry, f"it is of type {type(command).__name__}, not a click command")


def _broken(entry: EntryPoint, reason: str) -> click.Command:
    package = entry.dist.name if entry.dist is not None else entry.value

    @errors_as_one_line
    def refuse(**_: Any) -> None:
        raise BrokenCommandError(
            f"The command {entry.name} of {package} cannot be loaded: {reason.rstrip('.')}.",
            f"Install {package} again, or uninstall it.",
        )

    return click.Command(
        entry.name,
        callback=refuse,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=f"(It cannot be loaded: {reason})",
        context_settings={"ignore_unknown_options": True},
    )
