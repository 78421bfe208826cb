"""``nc-sigopt serve``, ``token`` and ``dashboard``: the embedded engine for other programs."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from nc_sigopt_strategy.cli.output import Output, output_options, print_json
from nc_sigopt_strategy.cli.shared import errors_as_one_line
from nc_sigopt_strategy.errors import missing

_STORAGE = click.option(
    "--storage",
    metavar="URL",
    envvar="NC_SIGOPT_STORAGE",
    help="Database URL of the store, such as sqlite:///experiments.db or "
    "postgresql://user:password@host/name; default: NC_SIGOPT_STORAGE in the environment, where "
    "no list of processes shows a password, else the file in your data folder.",
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@_STORAGE
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8340,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="0 takes a free one.",
)
@click.option("--sampler", help="Who suggests; default: as without a server.")
@click.option("--seed", type=int, help="Makes suggestions repeatable.")
@click.option("--tls-cert", type=_FILE, help="Certificate chain, PEM.")
@click.option("--tls-key", type=_FILE, help="Key of the certificate, PEM.")
@click.option(
    "--max-body-mib",
    default=8.0,
    type=click.FloatRange(0, min_open=True),
    show_default=True,
    help="Largest request body.",
)
@click.option(
    "--rate-writes",
    default=50,
    type=click.IntRange(0),
    show_default=True,
    help="Requests per token and second that change something; 0: no limit.",
)
@click.option(
    "--rate-reads",
    default=100,
    type=click.IntRange(0),
    show_default=True,
    help="GET requests per token and second; 0: no limit.",
)
@click.option(
    "--concurrency",
    default=32,
    type=click.IntRange(1, 1000),
    show_default=True,
    help="Requests worked on at once.",
)
@click.option("--dashboard-url", metavar="URL", help="For a link on the server's page.")
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the files of runs, such as images; without it none are kept.",
)
@click.option(
    "--max-file-mib",
    default=64.0,
    type=click.FloatRange(0, min_open=True),
    show_default=True,
    help="Largest of these files.",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="The server's address as clients know it, where a proxy does not hand on their Host.",
)
@output_options(as_json=False)
@errors_as_one_line
def serve(storage: str | None, output: Output, **options: Any) -> None:
    """Offer SigOpt's REST API on a socket, for SigOpt's Python client and others.

    Prints one line when it listens and serves until SIGTERM or Ctrl-C. Clients need a token: see
    nc-sigopt token create. A line per request goes to standard error, unless --quiet.
    """
    from nc_sigopt_strategy.client.connections import default_storage_url
    from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER

    try:
        from nc_sigopt_strategy.server.command import ServeCommand
        from nc_sigopt_strategy.server.options import MIB, ServerOptions
    except ModuleNotFoundError as error:
        raise missing(error, "nc_sigopt_strategy[server]", what="This command") from error

    left_behind = ServeCommand(
        storage_url=storage or default_storage_url(),
        host=options["host"],
        port=options["port"],
        sampler=options["sampler"] or DEFAULT_SAMPLER,
        seed=options["seed"],
        certificate=options["tls_cert"],
        key=options["tls_key"],
        options=ServerOptions(
            max_body_bytes=int(options["max_body_mib"] * MIB),
            writes_per_second=options["rate_writes"],
            reads_per_second=options["rate_reads"],
            concurrency=options["concurrency"],
            access_log=not output.quiet,
            dashboard_url=options["dashboard_url"],
            files=options["files"],
            max_file_bytes=int(options["max_file_mib"] * MIB),
            public_url=options["public_url"],
        ),
    ).run(click.echo, lambda line: click.echo(line, err=True))
    if left_behind:
        # Python waits for all threads, and these wait for a store that does not answer. Nothing
        # is lost that was confirmed.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


@click.group()
def token() -> None:
    """Make, list and revoke the tokens that nc-sigopt serve lets in."""


@token.command("create")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["read", "write"]),
    default="write",
    show_default=True,
    help="read: GET requests only.",
)
@_STORAGE
@output_options()
@errors_as_one_line
def create_token(name: str, scope: str, storage: str | None, output: Output) -> None:
    """Make a token called NAME and print it, once.

    Only its digest is stored, so it cannot be shown again.
    """
    from nc_sigopt_strategy.errors import SettingsError

    with _tokens(storage).handing_out(name, scope) as made:
        try:
            _print(_in_json(name, scope, made) if output.as_json else made)
        except OSError as error:
            raise SettingsError(
                f"No token was made, because it could not be printed: {error.strerror}.",
                "Check where standard output goes, and make it again.",
            ) from error
    output.teller()(
        f"Token {name!r} may {'read only' if scope == 'read' else 'read and write'}. Keep it now: "
        "only its digest is stored. Give it to the client as client_token or SIGOPT_API_TOKEN."
    )


@token.command("list")
@_STORAGE
@output_options(quiet=False)
@errors_as_one_line
def list_tokens(storage: str | None, output: Output) -> None:
    """List all tokens: id, name, scope, when made and last used, whether revoked.

    Guest tokens, which the server makes for looking at one experiment or run, come after them
    until they expire. In JSON times are seconds since 1970.
    """
    store = _tokens(storage)
    tokens = (*store.all(), *store.guests())
    if output.as_json:
        print_json([dataclasses.asdict(found) for found in tokens])
        return
    from rich.table import Table

    from nc_sigopt_strategy.console.outcome_table import table_console

    table = Table(box=None)
    for heading in ("id", "name", "scope", "created", "last used", "revoked"):
        table.add_column(heading)
    for found in tokens:
        guest = found.share is not None
        table.add_row(
            "" if guest else str(found.id),
            found.name,
            f"read {found.share} until {_when(found.expires)}" if guest else found.scope,
            _when(found.created),
            "" if guest else _when(found.last_used),
            "yes" if found.revoked else "no",
        )
    table_console().print(table)


@token.command("revoke")
@click.argument("id_or_name", metavar="ID_OR_NAME")
@_STORAGE
@output_options()
@errors_as_one_line
def revoke_token(id_or_name: str, storage: str | None, output: Output) -> None:
    """Let a token in no more, on every server of the store, within seconds.

    The guest tokens made with it are let in no more either.
    """
    revoked = _tokens(storage).revoke(id_or_name)
    number = "" if revoked.share is not None else f" {revoked.id}"
    said = f"Token{number} ({revoked.name}) is revoked."
    output.found(dataclasses.asdict(revoked), further=said)


@click.command()
@_STORAGE
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8341, type=click.IntRange(0, 65535), show_default=True, help="TCP port."
)
@output_options(as_json=False, quiet=False)
@errors_as_one_line
def dashboard(storage: str | None, host: str, port: int, output: Output) -> None:
    """Look at the experiments of a store in a browser, with optuna-dashboard.

    It has no login: whoever can reach it can see and change the store's studies.
    """
    from nc_sigopt_strategy.client.connections import default_storage_url

    try:
        from nc_sigopt_strategy.server.dashboard import run_dashboard
    except ModuleNotFoundError as error:
        raise missing(error, "nc_sigopt_strategy[dashboard]", what="This command") from error

    run_dashboard(
        storage or default_storage_url(),
        host,
        port,
        click.echo,
        lambda line: click.echo(line, err=True),
    )


def _in_json(name: str, scope: str, made: str) -> str:
    return json.dumps({"name": name, "scope": scope, "token": made})


def _print(line: str) -> None:
    """Write a line to standard output at once.

    Raises:
        OSError: It did not get there.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would fail once more when Python ends, with a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _tokens(storage: str | None) -> Any:
    from nc_sigopt_strategy.client.connections import default_storage_url
    from nc_sigopt_strategy.server.tokens import TokenStore

    return TokenStore(storage or default_storage_url())


def _when(seconds: int | None) -> str:
    from datetime import datetime

    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
