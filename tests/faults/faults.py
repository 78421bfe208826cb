"""What can go wrong with a request, and which requests it is to happen to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What goes wrong; all but ``REFUSE`` also after the real server did its part."""

    REFUSE = "refuse"  # the port is closed, and open connections end
    RESET = "reset"  # TCP reset: in the middle of the answer if the real server gave one
    HANG = "hang"  # no answer, until the client goes
    TOO_MANY_REQUESTS = 429
    INTERNAL_ERROR = 500
    BAD_GATEWAY = 502
    UNAVAILABLE = 503
    HTML = "html"  # status 200 with a web page
    NO_ID = "no id"  # status 200 with the answer's JSON, but for its id
    TRUNCATED = "truncated"  # status 200, half of the body, then the end
    EMPTY = "empty"  # status 200 without a body
    NO_CONTENT = 204
    REDIRECT = 302


@dataclass(frozen=True)
class Request:
    """A request that reached the server.

    Attributes:
        method: HTTP verb.
        path: Its path, without the query.
        status: What the client was answered; ``None`` if it got no whole head of an answer.
        fault: How the answer was broken.
        passed: Whether the real server has answered it.
        has_token: Whether it came with an ``Authorization`` header.
    """

    method: str
    path: str
    status: int | None
    fault: Fault | None
    passed: bool
    has_token: bool


@dataclass
class Rule:
    """Which requests break, and how; see ``BrokenServer.break_with``."""

    fault: Fault
    method: str | None
    path: re.Pattern[str] | None
    left: int | None
    stored: bool
    location: str | None

    def takes(self, method: str, path: str) -> bool:
        """Whether it applies to a request, which it then counts."""
        if self.left == 0 or self.method not in (None, method):
            return False
        if self.path is not None and not self.path.search(path):
            return False
        if self.left is not None:
            self.left -= 1
        return True
