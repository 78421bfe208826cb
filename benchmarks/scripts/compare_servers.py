"""What two servers of SigOpt's API answer to the same requests, and where they differ.

    python benchmarks/scripts/compare_servers.py URL [URL] [--requests FILE ...]

With two URLs their answers are held against each other; with one, the answers are held against
what SigOpt's own server is known to answer, which the files of requests beside this script record.
Differences are told by kind: status, keys, types, values. Those that this project's server has on
purpose come apart, with the reason. The tokens come from the environment, NC_SIGOPT_FIRST_TOKEN
and NC_SIGOPT_SECOND_TOKEN; each must be one that may write. Every run makes projects, experiments
and tags of its own, which stay there.

Exit code: 0 if all differences are on purpose, 1 if not, 2 if the servers could not be asked.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from nc_sigopt_benchmarks.research.server_facts.exchange import send_all
from nc_sigopt_benchmarks.research.server_facts.report import (
    between,
    from_facts,
    report,
    unexpected,
)
from nc_sigopt_benchmarks.research.server_facts.server import Server
from nc_sigopt_benchmarks.research.server_facts.step import read_steps
from nc_sigopt_strategy.errors import SettingsError, SigOptStrategyError

REQUESTS = Path(__file__).parent / "server_requests"
TOKENS = ("NC_SIGOPT_FIRST_TOKEN", "NC_SIGOPT_SECOND_TOKEN")


def main(urls: Sequence[str], files: Sequence[Path], plain_http_hosts: Sequence[str]) -> int:
    """Ask one server or two, print what differs; the exit code.

    Raises:
        SigOptStrategyError: A token or a file is missing, or a server does not answer.
    """
    servers = [
        Server(url, _token(variable), tuple(plain_http_hosts))
        for url, variable in zip(urls, TOKENS, strict=False)
    ]
    run = f"run{secrets.token_hex(4)}"
    findings, count = [], 0
    for file in files or sorted(REQUESTS.glob("*.yaml")):
        steps = read_steps(file)
        count += len(steps.steps)
        exchanges = [send_all(server, steps, run) for server in servers]
        if len(servers) == 1:
            findings += from_facts(steps.about, exchanges[0])
        else:
            findings += between(steps.about, *exchanges)
    print(report(findings, count))
    return 1 if unexpected(findings) else 0


def _token(variable: str) -> str:
    token = os.environ.get(variable)
    if not token:
        raise SettingsError(
            f"The environment variable {variable} is not set.",
            "Put the server's token there; on a command line others could read it.",
        )
    return token


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="of a server, without /v1")
    parser.add_argument("--requests", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument(
        "--plain-http", action="append", default=[], metavar="HOST",
        help="a host that may see its token without TLS",
    )  # fmt: skip
    given = parser.parse_args()
    if len(given.urls) > len(TOKENS):
        parser.error(f"at most two servers are compared, got {len(given.urls)}")
    try:
        sys.exit(main(given.urls, given.requests, given.plain_http))
    except SigOptStrategyError as error:
        print(f"compare_servers: {error}", file=sys.stderr)
        sys.exit(2)
