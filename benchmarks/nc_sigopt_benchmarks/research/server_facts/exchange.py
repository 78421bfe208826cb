"""Requests sent to one server in their order, each with what was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nc_sigopt_benchmarks.research.server_facts.difference import Difference
from nc_sigopt_benchmarks.research.server_facts.matching import mismatches
from nc_sigopt_benchmarks.research.server_facts.names import (
    UnknownNameError,
    filled_in,
    found_at,
)
from nc_sigopt_benchmarks.research.server_facts.server import Answer, Request
from nc_sigopt_benchmarks.research.server_facts.step import Expected, Step, Steps


class Sending(Protocol):
    """What a server is to the steps."""

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the answer; see ``Server.send``."""


@dataclass(frozen=True)
class Exchange:
    """One step and its answer.

    Attributes:
        step: The step.
        answer: What the server said; ``None`` if the request could not be made.
        kept: Everything that was kept from answers so far, this one included.
        problem: Why there is no answer.
    """

    step: Step
    answer: Answer | None
    kept: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    def apart_from(self, expected: Expected) -> list[Difference]:
        """What of the answer is not as it is known to be.

        Args:
            expected: What is known.

        Raises:
            UnknownNameError: What is known names what no answer gave.
        """
        if self.answer is None:
            raise UnknownNameError(self.problem)
        known = Expected(expected.status, filled_in(expected.answer, self.kept))
        return mismatches(known, self.answer.status, self.answer.body)


def send_all(server: Sending, steps: Steps, run: str) -> list[Exchange]:
    """Send all requests of a file.

    A request that needs what no answer gave is left out, and its exchange says so.

    Args:
        server: To whom.
        steps: The requests.
        run: A short word of lower-case letters and digits that is ``{run}`` in requests: what a
            server takes only once, such as the id of a project, holds it.

    Raises:
        ServerAwayError: The server does not answer.
    """
    kept: dict[str, Any] = {"run": run}
    exchanges = []
    for step in steps.steps:
        try:
            request = _request(step, kept)
        except UnknownNameError as error:
            exchanges.append(Exchange(step, None, dict(kept), error.fact))
            continue
        answer = server.send(request)
        kept.update({name: found_at(answer.body, path) for name, path in step.keep.items()})
        exchanges.append(Exchange(step, answer, dict(kept)))
    return exchanges


def _request(step: Step, kept: Mapping[str, Any]) -> Request:
    body = None
    if step.raw is not None:
        body = step.raw.encode("utf-8", "surrogateescape")
    elif step.body is not None:
        body = json.dumps(filled_in(step.body, kept)).encode()
    return Request(
        step.verb,
        filled_in(step.path, kept),
        filled_in(dict(step.query), kept),
        body,
        filled_in(dict(step.headers), kept),
        step.sender,
    )
