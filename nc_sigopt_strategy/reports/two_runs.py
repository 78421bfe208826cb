"""Two runs side by side: what is another than in the earlier one."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text
from nc_sigopt_strategy.reports.run_record import RunRecord

_SHOWN_OPS = 60


def differences(run: RunRecord, earlier: RunRecord) -> str:
    """A section with what the two came to, what they were run with, and which ops differ.

    Args:
        run: The page's.
        earlier: What it is compared with.
    """
    changed = _changed_ops(run, earlier)
    shown, more = changed[:_SHOWN_OPS], len(changed) - _SHOWN_OPS
    left = f"<p class=note>And {more} more.</p>" if more > 0 else ""
    return (
        f"<h2 id=beside>Beside {escape(str(earlier.folder))}</h2>{_table(_rows(run, earlier))}"
        f"<h3>{len(changed)} ops of the winners have another type</h3>"
        f"{_table(shown) if shown else ''}{left}"
    )


def _table(rows: Iterable[tuple[str, str, str]]) -> str:
    head = "<thead><tr><th></th><th>this run</th><th>the other</th></tr></thead>"
    body = "".join(
        f"<tr{'' if now == before else ' class=changed'}><th scope=row>{escape(name)}</th>"
        f"<td>{escape(now)}</td><td>{escape(before)}</td></tr>"
        for name, now, before in rows
    )
    return f"<div class=wide><table>{head}<tbody>{body}</tbody></table></div>"


def _rows(run: RunRecord, earlier: RunRecord) -> list[tuple[str, str, str]]:
    pairs = [(name, now, before) for (name, now), (_, before) in
             zip(_facts(run), _facts(earlier), strict=True)]  # fmt: skip
    versions = [dict(r.facts.versions) if r.facts else {} for r in (run, earlier)]
    pairs += [
        (name, versions[0].get(name, NOTHING), versions[1].get(name, NOTHING))
        for name in dict.fromkeys([*versions[0], *versions[1]])
        if versions[0].get(name) != versions[1].get(name)
    ]
    return pairs


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    outcome, facts = run.outcome, run.facts
    best, speed = outcome.best, outcome.speedup
    return [
        ("started", NOTHING if facts is None else facts.started),
        ("model", run.title),
        ("machine", NOTHING if facts is None else facts.machine),
        (
            "speed-up",
            f"{speed.value:.2f} ({speed.low:.2f} to {speed.high:.2f})" if speed else NOTHING,
        ),
        ("accuracy", accuracy_text(best.accuracy if best else None)),
        ("bound", accuracy_text(outcome.accuracy_target)),
        ("FP32's accuracy", accuracy_text(outcome.baseline_accuracy)),
        ("types", ", ".join(f"{n} {t}" for t, n in outcome.ops_by_type.items()) or NOTHING),
        ("trials", str(outcome.trials)),
        ("tuning (s)", f"{outcome.tuning_seconds:.0f}"),
    ]


def _changed_ops(run: RunRecord, earlier: RunRecord) -> list[tuple[str, str, str]]:
    now, before = (_winners_ops(r) for r in (run, earlier))
    if not now or not before:
        return []
    return [
        (name, now.get(name, NOTHING), before.get(name, NOTHING))
        for name in dict.fromkeys([*now, *before])
        if now.get(name) != before.get(name)
    ]


def _winners_ops(run: RunRecord) -> dict[str, str]:
    best = run.outcome.best
    if best is None:
        return {}
    found = (ops for trial, ops in zip(run.trials, run.ops, strict=True)
             if trial.number == best.number)  # fmt: skip
    return dict(next(found, {}))
