"""Limits of a server that fit the number of files its process may open."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.server.options import ServerOptions

resource: Any
try:
    import resource
except ImportError:  # Windows, which has no such limit.
    resource = None

# What a server has open beside its clients: streams, event loop, tokens, what a sampler reads.
_OWN = 32
# A thread's connection to SQLite: the file, its log, and what a statement may spill.
_PER_THREAD = 3


def fit_to_open_files(options: ServerOptions, warn: Callable[[str], None]) -> ServerOptions:
    """Raise the process's limit as far as that is allowed, and keep within what there is.

    Connections beyond their limit push out those that have been idle for longest, so clients that
    only hold sockets do not keep others out, as they would if descriptors ran out first.

    Args:
        options: What is wanted.
        warn: Told, in one line, where there is not room for it.

    Raises:
        SettingsError: There is no room for a server at all.
    """
    wanted = _OWN + _PER_THREAD * options.concurrency + options.max_connections
    allowed = _allowed(wanted)
    if allowed >= wanted:
        return options
    left = allowed - _OWN
    threads = min(options.concurrency, left // (2 * _PER_THREAD))
    if threads < 1:
        raise SettingsError(
            f"This process may have only {allowed} files open, too few for a server.",
            f"Allow at least {_OWN + 2 * _PER_THREAD}, better {wanted}: ulimit -n {wanted}.",
        )
    connections = min(options.max_connections, left - _PER_THREAD * threads)
    warn(
        f"nc-sigopt: warning: this process may have {allowed} files open, so {connections} "
        f"connections are kept and {threads} requests worked on at a time. For all of "
        f"{options.max_connections} and {options.concurrency}: ulimit -n {wanted}."
    )
    return dataclasses.replace(options, concurrency=threads, max_connections=connections)


def _allowed(wanted: int) -> int:
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft != endless and soft < wanted:
        soft = wanted if hard == endless else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == endless else int(soft)
