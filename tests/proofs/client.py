"""One client process: asks, works, reports, until the experiment's budget is used.

Run as ``python -m tests.proofs.client JSON``, with the fields of ``Task``; the token is in
SIGOPT_API_TOKEN. It uses SigOpt's client and nothing of this package.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import sigopt
from sigopt.exception import ApiException, ConnectionException
from sigopt.ratelimit import failed_status_rate_limit

Answer = TypeVar("Answer")
# How long a client goes on asking a server that does not answer.
_GIVE_UP_SECONDS = 300.0
_TIMEOUT_SECONDS = 60
# Of every hundred measurements so many fail.
_FAILURES_PERCENT = 3


@dataclass(frozen=True)
class Task:
    """What a client is to do.

    Attributes:
        name: Of the client; unique in the experiment.
        experiment: Id.
        budget: Observations of the experiment, of all clients together.
        urls: Servers of the same store; the next one is asked when one does not answer.
        journal: File for what was told and what was reported.
        work_ms: Longest time a measurement takes.
        seed: Of times and values.
    """

    name: str
    experiment: str
    budget: int
    urls: list[str]
    journal: str
    work_ms: float
    seed: int


class HalfAnswer(Exception):
    """The answer ends in the middle."""


class Lost(Exception):
    """There was no answer that tells what became of the request."""


class Client:
    """A client that loses nothing and doubles nothing when answers are lost.

    It names each of its suggestion requests in metadata. When the answer is lost, it looks for an
    open suggestion of that name before it asks again; and it looks whether a suggestion is closed
    before it reports a second time.

    The clients share the budget without talking to each other: a suggestion's ``number`` less the
    deleted ones before it is its place among those that count. Whoever is beyond the budget gives
    the suggestion back. So the observations are never more than the budget, and as each client
    stays until they are as many, never fewer.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._random = random.Random(task.seed)
        self._server = task.seed % len(task.urls)
        self._requests = 0
        self._connection = self._connect()

    def run(self) -> None:
        """Work until the budget is used."""
        while (suggestion := self._next()) is not None:
            values = self._measure()
            self._report(suggestion, values)

    def _next(self) -> Any:
        """The next suggestion within the budget; ``None`` once the budget is used."""
        while True:
            self._requests += 1
            suggestion: Any = self._ask(str(self._requests))
            while suggestion is not None:
                if self._counts(suggestion):
                    self._note(
                        "suggested",
                        suggestion,
                        number=_number(suggestion),
                        assignments=suggestion.assignments.to_json(),
                    )
                    return suggestion
                self._give_back(suggestion)
                suggestion = self._wait()
            if self._observed() >= self._task.budget:
                return None

    def _ask(self, request: str) -> Any:
        mine = {"client": self._task.name, "request": request}
        while True:
            try:
                return self._try(lambda: self._endpoint.suggestions().create(metadata=mine))
            except Lost:
                for found in self._mine():
                    if found.metadata.to_json() == mine:
                        self._note("found", found)
                        return found

    def _counts(self, suggestion: Any) -> bool:
        if _number(suggestion) <= self._task.budget:
            return True
        gone = [
            other
            for other in self._list("suggestions", deleted=True)
            if _number(other) < _number(suggestion)
        ]
        return _number(suggestion) - len(gone) <= self._task.budget

    def _give_back(self, suggestion: Any) -> None:
        self._note("gives back", suggestion)

        def delete() -> None:
            try:
                self._endpoint.suggestions(suggestion.id).delete()
            except ApiException as error:
                if error.status_code != 404:  # gone: an earlier request came through
                    raise

        self._surely(delete)

    def _wait(self) -> Any:
        """Wait until all is observed, or there is something to do.

        Returns:
            An open suggestion of ours of which we were never told; ``None`` when all is observed
            or a place has become free.
        """
        while self._observed() < self._task.budget:
            for suggestion in self._mine():
                self._note("found", suggestion)
                return suggestion
            waiting = len(self._list("suggestions", state="open"))
            if self._observed() + waiting < self._task.budget:
                return None
            time.sleep(self._random.uniform(0.2, 0.5))
        return None

    def _measure(self) -> list[dict[str, Any]]:
        """Values that nobody else reports; empty for a measurement that failed."""
        time.sleep(self._random.uniform(0, self._task.work_ms) / 1e3)
        if self._random.randrange(100) < _FAILURES_PERCENT:
            return []
        latency, accuracy = self._random.uniform(5, 20), self._random.uniform(0.70, 0.78)
        return [
            {"name": "accuracy", "value": accuracy},
            {"name": "latency", "value": latency, "value_stddev": latency / 100},
        ]

    def _report(self, suggestion: Any, values: list[dict[str, Any]]) -> None:
        self._note("reports", suggestion, values=values)
        told: dict[str, Any] = {"values": values} if values else {"failed": True}
        told |= {"suggestion": suggestion.id, "metadata": {"client": self._task.name}}
        while True:
            try:
                made = self._try(lambda: self._endpoint.observations().create(**told))
                self._note("observed", suggestion, observation=made.id)
                return
            except Lost:
                kept = self._surely(lambda: self._endpoint.suggestions(suggestion.id).fetch())
                if kept.state == "closed":
                    self._note("observed", suggestion, observation=None)
                    return

    def _mine(self) -> list[Any]:
        return [
            suggestion
            for suggestion in self._list("suggestions", state="open")
            if suggestion.metadata and suggestion.metadata.to_json()["client"] == self._task.name
        ]

    def _observed(self) -> int:
        return int(self._surely(lambda: self._endpoint.fetch()).progress.observation_count)

    def _list(self, kind: str, **query: Any) -> list[Any]:
        def pages() -> Iterator[Any]:
            first = getattr(self._endpoint, kind)().fetch(**query)
            yield from _whole(first).iterate_pages()

        return self._surely(lambda: list(pages()))

    @property
    def _endpoint(self) -> Any:
        return self._connection.experiments(self._task.experiment)

    def _connect(self) -> Any:
        connection = sigopt.Connection(api_url=self._task.urls[self._server])
        connection.set_timeout(_TIMEOUT_SECONDS)
        return connection

    def _surely(self, request: Callable[[], Answer]) -> Answer:
        """The answer to a request that may be sent twice."""
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while True:
            try:
                return self._try(request)
            except Lost:
                if time.monotonic() > deadline:
                    raise

    def _try(self, request: Callable[[], Answer]) -> Answer:
        """Send a request once.

        Raises:
            Lost: Nobody knows whether it came through; it is time to try the next server.
        """
        lost: Exception
        try:
            answer = request()
            return _whole(answer) if hasattr(answer, "to_json") else answer
        except (ConnectionException, HalfAnswer) as error:
            lost = error
        except ApiException as error:
            if error.status_code < 500 and error.status_code != 429:
                raise
            lost = error
        self._note("lost", reason=str(lost)[:300])
        failed_status_rate_limit.clear()  # the pause is ours to choose
        time.sleep(self._random.uniform(0.2, 0.8))
        self._server = (self._server + 1) % len(self._task.urls)
        self._connection = self._connect()
        raise Lost(str(lost)) from lost

    def _note(self, what: str, suggestion: Any = None, **more: Any) -> None:
        line = {"what": what, "client": self._task.name, **more}
        if suggestion is not None:
            line["suggestion"] = suggestion.id
        handle = os.open(self._task.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(handle, f"{json.dumps(line)}\n".encode())
        os.close(handle)


def _whole(answer: Any) -> Any:
    """An answer of the server's.

    SigOpt's client takes half of one, left by a server that was killed, for an empty object.

    Raises:
        HalfAnswer: It is none.
    """
    if "object" not in answer.to_json():
        raise HalfAnswer
    return answer


def _number(suggestion: Any) -> int:
    # An extension of ours, so SigOpt's client has no attribute for it.
    return int(suggestion.to_json()["number"])


if __name__ == "__main__":
    Client(Task(**json.loads(sys.argv[1]))).run()
