"""A driver that takes nothing for an answer but what a SigOpt server would say.

The client takes any page with status 200 for an object whose fields are all ``None``, or for an
empty list. Looking in such a list for what was stored would find nothing, and store it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sigopt_client import SigOptException, failed_status_rate_limit

_WITHOUT_ID = ("record", "token")


class UnusableAnswer(SigOptException):  # type: ignore[misc]  # the client ships no types
    """An answer that says success and is none of SigOpt's."""


class CheckedDriver:
    """Another driver of the client's, its answers checked.

    Requests do not wait either for what the client thinks of earlier failures: it counts those of
    the whole process and sleeps ever longer (sigopt 8.8.3, ratelimit.py).

    Args:
        driver: Whom to ask; all its attributes are reached through this one.
    """

    def __init__(self, driver: Any) -> None:
        self.checked = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self.checked, name)

    def request(
        self,
        method: str,
        path: Sequence[str | int],
        data: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any] | None:
        """The answer to one request.

        Raises:
            UnusableAnswer: It is not what a SigOpt server answers.
            sigopt.exception.SigOptException: As the driver below.
        """
        failed_status_rate_limit.clear()
        answer: dict[str, Any] | None = self.checked.request(method, path, data, headers)
        failed_status_rate_limit.clear()
        problem = _problem(method.upper(), answer)
        if problem is not None:
            raise UnusableAnswer(
                f"The answer to {method.upper()} {path[0]} is unusable: {problem}."
            )
        return answer


def _problem(method: str, answer: Any) -> str | None:
    if method == "DELETE" and answer in (None, {}):
        return None
    if not isinstance(answer, Mapping):
        return "it holds nothing"
    kind = answer.get("object")
    if not isinstance(kind, str):
        return "it is no object of SigOpt's"
    if kind == "pagination":
        whole = isinstance(answer.get("data"), list) and isinstance(answer.get("count"), int)
        return None if whole else "it is no list"
    if kind not in _WITHOUT_ID and answer.get("id") is None:
        return f"the {kind} has no id"
    return None
