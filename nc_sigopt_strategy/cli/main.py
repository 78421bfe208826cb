"""``nc-sigopt``: tune a model, look at experiments, serve them.

Exit codes: see ``shared.EXIT_CODES``.
Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import sys
from typing import NoReturn

import click

from nc_sigopt_strategy.cli.check import check
from nc_sigopt_strategy.cli.completion import PROGRAM, completion_options
from nc_sigopt_strategy.cli.experiments import experiments
from nc_sigopt_strategy.cli.init import init
from nc_sigopt_strategy.cli.plugins import PluggableGroup
from nc_sigopt_strategy.cli.runs import report, runs
from nc_sigopt_strategy.cli.server import dashboard, serve, token
from nc_sigopt_strategy.cli.shared import EXIT_CODES, FOUND
from nc_sigopt_strategy.cli.tune import tune
from nc_sigopt_strategy.version import __version__


@click.group(cls=PluggableGroup, epilog=EXIT_CODES)
@click.version_option(__version__, prog_name=PROGRAM)
@completion_options
def cli() -> None:
    """Find the fastest int8 model that still meets your accuracy bound.

    Runs Intel Neural Compressor's tuning with the "sigopt" strategy: each op of the model becomes
    a parameter, and an optimizer searches for the assignment of int8, bf16 and fp32 that runs
    fastest within the bound. It needs no account, no token and no network.

    \b
    Try it:
      nc-sigopt init model.onnx                       writes pipeline.py, to be filled in
      nc-sigopt tune model.onnx --data pipeline.py --timeout 10m --loss 1%
      nc-sigopt compare demo                          beside Neural Compressor's basic
    """


for _command in (tune, check, init, runs, report, experiments, serve, token, dashboard):
    cli.add_command(_command)


def main() -> NoReturn:
    """The entry point of ``nc-sigopt``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A folder's name need not be UTF-8, and the line that names it is written all the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    # The name also by ``python -m``: a shell's completion asks by a variable that is named so.
    cli(prog_name=PROGRAM)
    sys.exit(FOUND)


if __name__ == "__main__":
    main()
