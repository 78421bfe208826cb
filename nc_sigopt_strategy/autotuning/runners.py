"""Which runner a host has."""

from __future__ import annotations

from nc_sigopt_strategy.autotuning.direct import DirectRunner
from nc_sigopt_strategy.autotuning.request import Request
from nc_sigopt_strategy.autotuning.runner import Runner
from nc_sigopt_strategy.hosts.find import INC, KnownHost, MakeHost, open_host


def runner_for(host: KnownHost, request: Request, make_host: MakeHost = open_host) -> Runner:
    """What tunes with a host.

    Args:
        host: Which.
        request: What is asked.
        make_host: Makes a host of a given model.

    Raises:
        MissingExtraError: The host is not installed.
    """
    if host.name != INC:
        return DirectRunner(host.name, request, make_host)
    host.require()
    # Imported late: Neural Compressor comes with it.
    from nc_sigopt_strategy.autotuning.with_inc import IncRunner

    return IncRunner(request)
