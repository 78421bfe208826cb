"""What a comparison of servers found, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nc_sigopt_benchmarks.research.server_facts.comparing import differences
from nc_sigopt_benchmarks.research.server_facts.difference import (
    FORM,
    KINDS,
    STATUS,
    Difference,
)
from nc_sigopt_benchmarks.research.server_facts.exchange import Exchange
from nc_sigopt_benchmarks.research.server_facts.step import Expected


@dataclass(frozen=True)
class Finding:
    """A step whose answers are not the same.

    Attributes:
        about: The file of the step.
        step: The step's name.
        sent: Verb and path.
        differences: What sets them apart.
        why: Why this project's server differs there on purpose; ``None`` where it should not.
    """

    about: str
    step: str
    sent: str
    differences: tuple[Difference, ...]
    why: str | None


def between(about: str, first: Sequence[Exchange], second: Sequence[Exchange]) -> list[Finding]:
    """Where two servers differ.

    Args:
        about: The file of the steps.
        first: All exchanges with the first server.
        second: The same steps with the second one.
    """
    return [
        _finding(about, one, found, on_purpose=_are_known(one, other) or _are_known(other, one))
        for one, other in zip(first, second, strict=True)
        if (found := differences(one, other))
    ]


def from_facts(about: str, exchanges: Sequence[Exchange]) -> list[Finding]:
    """Where a server departs from what SigOpt's own server is known to answer."""
    findings = []
    for exchange in exchanges:
        found = _apart(exchange, exchange.step.real)
        if found:
            on_purpose = not _apart(exchange, exchange.step.ours)
            findings.append(_finding(about, exchange, found, on_purpose=on_purpose))
    return findings


def unexpected(findings: Sequence[Finding]) -> list[Finding]:
    """Those that nobody gives a reason for, and that are of more than form."""
    return [
        finding
        for finding in findings
        if finding.why is None and any(d.kind != FORM for d in finding.differences)
    ]


def report(findings: Sequence[Finding], steps: int) -> str:
    """All findings in lines: the unexpected ones, those on purpose, those of form, a count.

    Args:
        findings: What was found.
        steps: How many requests were sent to each server.
    """
    lines: list[str] = []
    without, with_reason = unexpected(findings), [f for f in findings if f.why is not None]
    for title, part in (("Differences", without), ("Differences on purpose", with_reason)):
        if part:
            lines += [title, "", *(line for finding in part for line in _lines(finding)), ""]
    forms = Counter(
        f"{_last_key(d.where)}: {d.first} -> {d.second}"
        for finding in findings
        for d in finding.differences
        if d.kind == FORM
    )
    if forms:
        lines += ["Differences of form", ""]
        lines += [f"    {form} ({count} times)" for form, count in forms.most_common()] + [""]
    counted = Counter(d.kind for finding in without for d in finding.differences)
    kinds = ", ".join(f"{counted[kind]} of {kind}" for kind in KINDS if kind != FORM)
    lines.append(f"{steps} requests; {len(without)} answered differently ({kinds}),")
    lines.append(f"{len(with_reason)} more on purpose.")
    return "\n".join(lines)


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.about}: {finding.step}  [{finding.sent}]"
    told = [d for d in finding.differences if d.kind != FORM]
    for difference in sorted(told, key=lambda d: KINDS.index(d.kind)):
        yield f"    {difference}"
    if finding.why is not None:
        yield f"    why: {finding.why}"


def _last_key(where: str) -> str:
    return where.rpartition(".")[2]


def _are_known(real: Exchange, ours: Exchange) -> bool:
    """Whether one answers as SigOpt's own server does, and one as ours does on purpose."""
    return not (_apart(real, real.step.real) or _apart(ours, ours.step.ours))


def _apart(exchange: Exchange, expected: Expected | None) -> list[Difference]:
    """What of an answer is not as expected; where nothing is expected, nothing is right."""
    if exchange.answer is None or expected is None:
        return [Difference(STATUS, "", str(exchange.step.real.status), exchange.problem)]
    return exchange.apart_from(expected)


def _finding(
    about: str, exchange: Exchange, found: Sequence[Difference], *, on_purpose: bool
) -> Finding:
    step = exchange.step
    why = step.why if on_purpose else None
    return Finding(about, step.name, f"{step.verb} {step.path}", tuple(found), why)
