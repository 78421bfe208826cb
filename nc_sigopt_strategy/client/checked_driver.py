"""A driver that takes nothing for an answer but what a SigOpt server would say.

The client takes any page with status 200 for an object whose fields are all ``None``, or for an
empty list. Looking in such a list for what was stored would find nothing, and store it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nc_sigopt_strategy.client.shapes import is_count, problem_with
from nc_sigopt_strategy.client.sigopt_client import SigOptException, unthrottled

_WITHOUT_ID = ("record", "stopping_criteria", "token")
_MARKERS = ("before", "after")


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
        problem = _problem(method.upper(), path, data or {}, answer)
        if problem is not None:
            raise UnusableAnswer(
                f"The answer to {method.upper()} {path[0]} is unusable: {problem}."
            )
        return answer


def _problem(
    method: str, path: Sequence[str | int], data: Mapping[str, Any], answer: Any
) -> str | None:
    if method == "DELETE":
        # What it says is not read.
        return None if answer is None or isinstance(answer, Mapping) else "it is no object"
    if not isinstance(answer, Mapping):
        return "it holds nothing"
    kind = answer.get("object")
    if not isinstance(kind, str):
        return "it is no object of SigOpt's"
    if kind == "pagination":
        return _problem_of_list(path, data, answer)
    if kind not in _WITHOUT_ID and answer.get("id") is None:
        return f"the {kind[:40]} has no id"
    return problem_with(path, answer)


def _problem_of_list(
    path: Sequence[str | int], data: Mapping[str, Any], answer: Mapping[str, Any]
) -> str | None:
    entries, paging = answer.get("data"), answer.get("paging")
    if not isinstance(entries, list) or not is_count(answer.get("count")):
        return "it is no list"
    if not isinstance(paging, (Mapping, type(None))):
        return "it is no page of a list"
    markers = {key: (paging or {}).get(key) for key in _MARKERS}
    if not all(marker is None or isinstance(marker, (str, int)) for marker in markers.values()):
        return "its pages have no markers"
    # A list that leads to where it was would be read for ever.
    if entries and markers["before"] is not None and str(markers["before"]) == data.get("before"):
        return "its pages lead back to themselves"
    for entry in entries:
        problem = "it is no object" if not isinstance(entry, Mapping) else None
        problem = problem or problem_with(path, entry)
        if problem is not None:
            return f"of an entry of its list, {problem}"
    return None
