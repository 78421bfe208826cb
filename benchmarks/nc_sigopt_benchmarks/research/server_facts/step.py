"""The requests of a comparison, read from YAML, and what is known of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SigOptStrategyError

VERBS = ("GET", "POST", "PUT", "DELETE", "MERGE", "OPTIONS")
# Who sends a request: the owner of the token, somebody without one, somebody with a wrong one.
OWNER, NOBODY, STRANGER = "owner", "nobody", "stranger"
SENDERS = (OWNER, NOBODY, STRANGER)


class StepsFileError(SigOptStrategyError):
    """A file of requests cannot be used."""


@dataclass(frozen=True)
class Expected:
    """What is known of an answer.

    Attributes:
        status: HTTP status code.
        answer: What the JSON of the answer holds, in the terms of ``matching``; ``None`` if only
            the status is known.
    """

    status: int
    answer: Any = None


@dataclass(frozen=True)
class Step:
    """One request.

    Attributes:
        name: A sentence, unique in its file.
        verb: HTTP verb.
        path: From the first slash on; ``{experiment}`` and the like stand for what was kept.
        body: JSON to send, or ``None``.
        raw: Text to send instead of JSON.
        query: Key to value; what is no text goes as JSON.
        headers: In addition.
        sender: One of ``SENDERS``.
        keep: A name for what stands at a dotted path of the answer.
        vary: Keys whose values no other server would have, such as a sampler's assignments.
        real: What SigOpt's own server answers.
        ours: What this project's server answers where that is something else.
        why: The reason for it.
    """

    name: str
    verb: str
    path: str
    real: Expected
    body: Any = None
    raw: str | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    sender: str = OWNER
    keep: Mapping[str, str] = field(default_factory=dict)
    vary: frozenset[str] = frozenset()
    ours: Expected | None = None
    why: str | None = None


@dataclass(frozen=True)
class Steps:
    """One file of requests, to be sent in this order.

    Attributes:
        about: The file's name without its ending.
        steps: The requests.
    """

    about: str
    steps: tuple[Step, ...]


def read_steps(path: Path) -> Steps:
    """Read a file of requests.

    Raises:
        StepsFileError: It is not there, is no YAML, or a step says too little or too much.
    """
    # Not at the top: who compares nothing need not have it.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise StepsFileError(f"The requests in {path} cannot be read: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise StepsFileError(f"{path} holds no list `steps`.", "Look at the files beside it.")
    steps = tuple(_step(raw, path) for raw in document["steps"])
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise StepsFileError(f"{path} has two steps of the name {name!r}.", "Rename one.")
    return Steps(path.stem, steps)


_KEYS = {
    "name", "send", "body", "raw", "query", "headers", "as", "keep", "vary", "real", "ours", "why",
}  # fmt: skip


def _step(raw: Any, path: Path) -> Step:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise StepsFileError(f"{path} has a step without a name: {str(raw)[:100]}.")
    wrong = _what_is_wrong(raw)
    if wrong is not None:
        fact, way_out = wrong
        raise StepsFileError(f"The step {raw['name']!r} of {path} {fact}.", way_out)
    verb, _, target = raw["send"].partition(" ")
    return Step(
        name=raw["name"],
        verb=verb,
        path=target,
        real=Expected(**raw["real"]),
        body=raw.get("body"),
        raw=raw.get("raw"),
        query=raw.get("query", {}),
        headers=raw.get("headers", {}),
        sender=raw.get("as", OWNER),
        keep=raw.get("keep", {}),
        vary=frozenset(raw.get("vary", ())),
        ours=Expected(**raw["ours"]) if "ours" in raw else None,
        why=raw.get("why"),
    )


def _what_is_wrong(raw: dict[str, Any]) -> tuple[str, str] | None:
    """A fact and a way out; ``None`` for a step that can be used."""
    if unknown := raw.keys() - _KEYS:
        return f"has unknown keys: {sorted(unknown)}", f"Known ones: {sorted(_KEYS)}."
    verb, _, target = str(raw.get("send")).partition(" ")
    if verb not in VERBS or not target.startswith("/"):
        return f"sends {raw.get('send')!r}", f"`send` is one of {VERBS}, a blank and a path."
    if raw.get("as", OWNER) not in SENDERS:
        return f"is sent as {raw['as']!r}", f"`as` is one of {SENDERS}."
    for key in {"real", "ours"} & {"real", *raw}:
        if not _is_expected(raw.get(key)):
            return f"has {raw.get(key)!r} as `{key}`", "Give a `status`, and an `answer` if known."
    if ("ours" in raw) != ("why" in raw):
        return "has only one of `ours` and `why`", "Give both, or none."
    return None


def _is_expected(known: Any) -> bool:
    return (
        isinstance(known, dict)
        and isinstance(known.get("status"), int)
        and not known.keys() - {"status", "answer"}
    )
