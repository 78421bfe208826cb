"""A driver that takes nothing for an answer but what a SigOpt server would say.

The client takes any page with status 200 for an object whose fields are all ``None``, or for an
empty list. Looking in such a list for what was stored would find nothing, and store it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.client.sigopt_client import SigOptException, unthrottled

_WITHOUT_ID = ("record", "stopping_criteria", "token")


class UnusableAnswer(SigOptException):  # type: ignore[misc]  # the client ships no types
    """An answer that says success and is none of SigOpt's."""


class CheckedDriver:
    """Another driver of the client's, its answers checked.

    Nor does a request wait because of failures of earlier ones; see ``unthrottled``.

    Args:
        driver: Whom to ask; all its attributes are read and set through this one.
    """

    def __init__(self, driver: Any) -> None:
        object.__setattr__(self, "checked", driver)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "checked"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.checked, name, value)

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
        with unthrottled():
            answer: dict[str, Any] | None = self.checked.request(method, path, data, headers)
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
