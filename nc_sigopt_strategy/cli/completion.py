"""``--install-completion`` and ``--show-completion``: what a shell's Tab key offers.

click has the scripts for bash (from 4.4), zsh and fish, which ask the program for what fits;
here they go where each shell looks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import get_completion_class

from nc_sigopt_strategy.cli.shared import FOUND, WRONG_USE
from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.files import write_whole

PROGRAM = "nc-sigopt"
SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_NC_SIGOPT_COMPLETE"
_DETECTED = "detected"
_Command = TypeVar("_Command", bound=Callable[..., Any])
# zsh knows no completions before this was called, which not every start-up file does.
_ZSH_HEAD = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"


def completion_options(command: _Command) -> _Command:
    """Give the program the two options; each prints something and ends it."""
    return _option("--install-completion", _install, "Let the Tab key complete commands, options")(
        _option("--show-completion", _show, "Print the script that completes commands, options")(
            command
        )
    )


def script_for(shell: str, program: click.Command) -> str:
    """The script that completes the program's commands, options and files.

    Args:
        shell: One of ``SHELLS``.
        program: What is completed.

    Raises:
        ConfigFileError: It is a shell that click does not know.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigFileError(f"{shell!r} is not one of {', '.join(SHELLS)}.")
    text = kind(program, {}, PROGRAM, _VARIABLE).source()
    return (_ZSH_HEAD if shell == "zsh" else "") + text


def install(shell: str, program: click.Command) -> list[str]:
    """Put the script where the shell finds it; doing it again renews it.

    fish reads a folder of completions by itself. bash and zsh get a line in their start-up file.

    Args:
        shell: One of ``SHELLS``.
        program: What is completed.

    Returns:
        What was done, in sentences.

    Raises:
        ConfigFileError: A file cannot be read or written.
    """
    script, startup = _places(shell)
    try:
        script.parent.mkdir(parents=True, exist_ok=True)
        write_whole(script, script_for(shell, program))
        said = [f"Written: {script}"]
        if startup is not None and _line_added(startup, script):
            said.append(f"A line was added to {startup}, which reads it.")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(
            f"The completion of {shell} cannot be installed: {error}.",
            f"Put what {PROGRAM} --show-completion {shell} prints where {shell} reads it.",
        ) from error
    return [*said, f"It works in the next {shell} that you start."]


def _places(shell: str) -> tuple[Path, Path | None]:
    """The script's file, and the start-up file that has to name it, if one has to."""
    home = Path.home()
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish" / "completions" / f"{PROGRAM}.fish", None
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    startup = home / ".bashrc"
    if shell == "zsh":
        startup = Path(os.environ.get("ZDOTDIR") or home) / ".zshrc"
    return data / "nc_sigopt_strategy" / "completion" / f"{PROGRAM}.{shell}", startup


def _line_added(startup: Path, script: Path) -> bool:
    """Let a start-up file read a script; whether it did not yet."""
    quoted = "'" + str(script).replace("'", "'\\''") + "'"
    line = f"[ -f {quoted} ] && . {quoted}  # completion of {PROGRAM}"
    # A start-up file is often a link into a folder that is kept elsewhere.
    target = startup.resolve()
    text = target.read_text(encoding="utf-8") if target.exists() else ""
    if line in text.splitlines():
        return False
    with target.open("a", encoding="utf-8") as stream:
        stream.write(("" if not text or text.endswith("\n") else "\n") + line + "\n")
    return True


def _option(
    name: str, act: Callable[[str, click.Command], None], said: str
) -> Callable[[_Command], _Command]:
    def given(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is None or ctx.resilient_parsing:
            return
        if value not in (*SHELLS, _DETECTED):
            raise click.BadParameter(f"{value!r} is not one of {', '.join(SHELLS)}.", ctx, param)
        shell = _own_shell() if value == _DETECTED else value
        try:
            act(shell, ctx.command)
        except ConfigFileError as error:
            click.echo(f"{PROGRAM}: error: {error}", err=True)
            ctx.exit(WRONG_USE)
        ctx.exit(FOUND)

    return click.option(
        name,
        is_flag=False,
        flag_value=_DETECTED,
        shell_complete=lambda ctx, param, begun: [s for s in SHELLS if s.startswith(begun)],
        metavar="[SHELL]",
        is_eager=True,
        expose_value=False,
        callback=given,
        help=f"{said} and files, in {', '.join(SHELLS[:-1])} or {SHELLS[-1]}.  "
        "[default: your login shell]",
    )


def _own_shell() -> str:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise click.UsageError(
            f"The login shell is {shell or 'not known'}. Name one of {', '.join(SHELLS)}."
        )
    return shell


def _install(shell: str, program: click.Command) -> None:
    for line in install(shell, program):
        click.echo(line)


def _show(shell: str, program: click.Command) -> None:
    sys.stdout.write(script_for(shell, program))
