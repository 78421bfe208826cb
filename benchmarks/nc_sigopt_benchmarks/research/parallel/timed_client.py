"""A process with SigOpt's own client that suggests and observes as fast as it is answered.

It reads orders from standard input, one JSON object a line, and answers each with one line.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import sigopt

from nc_sigopt_benchmarks.research.parallel.workload import Workload

SUGGEST, OBSERVE = "suggest", "observe"
# What of a round trip no server's header accounts for: HTTP, JSON, waiting for a thread, client.
REST = "rest"
_SHARE = re.compile(r"(\w+);dur=([0-9.]+)")


@dataclass(frozen=True)
class Order:
    """What a client is told to do.

    Attributes:
        url: Of the server.
        token: For it.
        experiment: Id.
        parameters: Of the experiment.
        rounds: Suggestions and observations at most.
        seconds: After which no further round is begun.
    """

    url: str
    token: str
    experiment: str
    parameters: int
    rounds: int
    seconds: float


@dataclass(frozen=True)
class Sample:
    """One request, all times in milliseconds.

    Attributes:
        verb: ``suggest`` or ``observe``.
        total: Round trip as the client sees it.
        shares: Parts of it by name: what the server's ``Server-Timing`` says, and ``rest``.
    """

    verb: str
    total: float
    shares: dict[str, float]


def work(order: Order) -> list[Sample]:
    """Do as an order says.

    Raises:
        sigopt.exception.SigOptException: A request failed.
    """
    connection = sigopt.Connection(client_token=order.token, api_url=order.url)
    timings: list[str] = []
    connection.impl.driver.session.hooks["response"].append(
        lambda response, **_: timings.append(response.headers.get("server-timing", ""))
    )
    workload, samples = Workload(order.parameters), []
    endpoint = connection.experiments(order.experiment)
    endpoint.fetch()  # opens the connection

    def timed(verb: str, request: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        answer = request()
        total = 1e3 * (time.perf_counter() - begun)
        shares = {name: float(value) for name, value in _SHARE.findall(timings[-1])}
        samples.append(Sample(verb, total, {**shares, REST: total - sum(shares.values())}))
        return answer

    deadline = time.monotonic() + order.seconds
    for _ in range(order.rounds):
        suggestion = timed(SUGGEST, endpoint.suggestions().create)
        values = workload.values(dict(suggestion.assignments))
        observe = partial(endpoint.observations().create, suggestion=suggestion.id, values=values)
        timed(OBSERVE, observe)
        if time.monotonic() > deadline:
            break
    return samples


def main() -> None:
    """Work until standard input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        samples = work(Order(**json.loads(line)))
        print(json.dumps([asdict(sample) for sample in samples]), flush=True)


if __name__ == "__main__":
    main()
