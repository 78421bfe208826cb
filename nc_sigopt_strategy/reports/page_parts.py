"""The parts of a page that are text: they can be read, searched and printed without a script."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text
from nc_sigopt_strategy.console.outcome_table import calibration_text
from nc_sigopt_strategy.reports.run_record import RunRecord
from nc_sigopt_strategy.reports.type_colours import type_colours
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord


def headline(run: RunRecord) -> str:
    """The verdict, and why the run ended."""
    outcome = run.outcome
    good = outcome.best is not None and outcome.faster_than_fp32 is not False
    mark = "good" if good else "bad"
    first, _, rest = (outcome.verdict or outcome.stop_reason).partition(". ")
    lines = [f'<p class="verdict {mark}">{escape(first.rstrip("."))}.</p>']
    if rest:
        lines.append(f'<p class="rest">{escape(rest)}</p>')
    if outcome.verdict:
        lines.append(f'<p class="note">{escape(outcome.stop_reason)}</p>')
    if outcome.crash:
        lines.append(f"<pre>{escape(outcome.crash)}</pre>")
    lines += [f'<p class="note">{escape(note)}</p>' for note in outcome.model_notes]
    return "\n".join(lines)


def tiles(run: RunRecord) -> str:
    """The figures that most readers look for, each with its unit and what it is."""
    outcome = run.outcome
    best = outcome.best
    shown = best or outcome.nearest_miss
    speed = outcome.speedup
    batch = f"one batch of {outcome.batch_size}" if outcome.batch_size else "one batch"
    found: list[tuple[str, str, str]] = []
    if speed is not None and best is not None:
        said = f"times FP32; 95 %: {speed.low:.2f} to {speed.high:.2f}, timed side by side"
        found.append(("speed-up", f"{speed.value:.2f}", said))
    if shown is not None:
        name = "accuracy" if best else "nearest accuracy"
        said = f"bound {_four(outcome.accuracy_target)}, FP32 {_four(outcome.baseline_accuracy)}"
        found.append((name, _four(shown.accuracy), said))
    if shown is not None and shown.latency_seconds:
        fp32 = outcome.fp32_latency_seconds
        said = f"ms for {batch}" + (f"; FP32 {_digits(1e3 * fp32)} ms" if fp32 else "")
        found.append(("latency", _digits(1e3 * shown.latency_seconds), said))
    said = f"in {outcome.tuning_seconds:.0f} s"
    if outcome.seconds_to_first_feasible is not None:
        said += "; the first that met the bound and was faster after "
        said += f"{outcome.seconds_to_first_feasible:.0f} s"
    found.append(("trials", str(outcome.trials), said))
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b> {escape(said)}</dd></div>"
        for name, value, said in found
    )


def types_bar(outcome: Outcome) -> str:
    """How many ops of the winner run in which type: a bar, and the counts as its legend."""
    counts = dict(outcome.ops_by_type)
    total = sum(counts.values())
    if not total:
        return ""
    colours = type_colours(counts)
    parts = "".join(
        f'<i style="flex:{count};background:{colours[name]}" title="{escape(name)}: {count}"></i>'
        for name, count in counts.items()
    )
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    return (
        f'<div class="bar" role="img" aria-label="{escape(words)}">{parts}</div>'
        f'<p class="legend">{legend(counts)}</p>'
    )


def legend(labels: Iterable[str]) -> str:
    """Types with their colours, and how many where that is known."""
    known = dict(labels) if isinstance(labels, dict) else dict.fromkeys(labels)
    colours = type_colours(known)
    return " ".join(
        f'<span><i style="background:{colours[name]}"></i>'
        f"{escape(name)}{'' if count is None else f': {count} ops'}</span>"
        for name, count in known.items()
    )


def trials_table(run: RunRecord) -> str:
    """A row per trial; the script sorts and filters them."""
    fp32, shown = run.outcome.fp32_latency_seconds, run.outcome.best
    winner = None if shown is None else shown.number
    rows = [_trial_row(trial, fp32, winner, running=run.running) for trial in run.trials]
    names = (
        ("trial", "Its number"),
        ("times FP32", "FP32's latency over its own, from the trials"),
        ("accuracy", "What the evaluation returned"),
        ("bound", "Whether the accuracy bound is met"),
        ("ms", "Latency of one batch"),
        ("ended after (s)", "Seconds from the start of the run"),
        ("proposed by", "A first suggestion, or the sampler"),
        ("remark", "Why it failed, or whose graph it repeats"),
    )
    head = "".join(
        f'<th scope="col" title="{escape(said)}"><button>{escape(name)}</button></th>'
        for name, said in names
    )
    return (
        f"<table id=trials><thead><tr>{head}</tr></thead>"
        f'<tbody data-part="trials">{"".join(rows)}</tbody></table>'
    )


def _trial_row(
    trial: TrialRecord, fp32: float | None, winner: int | None, *, running: bool
) -> str:
    latency = trial.latency_seconds
    speed = fp32 / latency if fp32 and latency else None
    remark = trial.failure or ""
    if trial.number == winner:
        remark = "the best so far" if running else "the winner"
    elif trial.duplicate_of is not None:
        remark = f"same model as trial {trial.duplicate_of}"
    elif trial.paired is not None and trial.paired.ended_early:
        remark = f"given up after {trial.paired.inputs} of {trial.paired.of} inputs"
    met = {True: "met", False: "missed", None: NOTHING}[trial.meets_bound]
    cells = (
        str(trial.number),
        NOTHING if speed is None else f"{speed:.2f}",
        accuracy_text(trial.accuracy),
        met,
        NOTHING if latency is None else _digits(1e3 * latency),
        f"{trial.ended_seconds:.0f}",
        trial.origin or NOTHING,
        remark,
    )
    kind = " ".join(
        filter(None, (met if trial.meets_bound is not None else "failed",
                      "winner" if trial.number == winner else ""))
    )  # fmt: skip
    body = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="{kind}" data-trial="{trial.number}">{body}</tr>'


def other_bounds_table(outcome: Outcome) -> str:
    """The fastest model tried for each loss of accuracy."""
    if not outcome.other_bounds:
        return (
            "<p class=note>The trials do not tell: FP32 was not timed, or no loss is defined.</p>"
        )
    rows = "".join(
        f"<tr><td>{100 * o.loss:.2f}</td><td>{o.accuracy:.4f}</td><td>{o.speedup:.2f}</td>"
        f"<td>{o.trial}</td></tr>"
        for o in outcome.other_bounds
    )
    return (
        "<details><summary>As a table</summary><div class=wide><table><thead><tr>"
        "<th>loss (%)</th><th>accuracy</th><th>times FP32</th><th>trial</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def files_list(run: RunRecord) -> str:
    """Links to what lies in the run folder."""
    items = "".join(
        f'<li><a href="{escape(name, quote=True)}">{escape(name)}</a> – {escape(meaning)}</li>'
        for name, meaning in run.files().items()
    )
    return f"<ul>{items}</ul>" if items else "<p class=note>No files lie beside this page.</p>"


def reproduce(run: RunRecord) -> str:
    """How to get the model again, and how to tune again."""
    lines = []
    facts = run.facts
    if run.command:
        lines.append(f"<p>The run again:</p><pre>{escape(run.command)}</pre>")
    elif facts is not None and facts.program:
        lines.append(f"<p>The run was started by</p><pre>python {escape(facts.program)}</pre>")
    if "recipe.json" in run.files():
        lines.append(
            "<p>The same model without tuning: <code>recipe.json</code> holds the type of every "
            "op. <code>nc_sigopt_strategy.last_outcome()</code> and <code>outcome.json</code> "
            "hold all that this page says.</p>"
        )
    for name, value in run.outcome.deployment.items():
        lines.append(f"<p>Deploy with {escape(name)}:</p><pre>{escape(str(value))}</pre>")
    return "\n".join(lines)


def conditions(run: RunRecord) -> str:
    """Machine, versions, budget and search space, as pairs."""
    outcome, facts = run.outcome, run.facts
    pairs: list[tuple[str, str]] = [("run folder", str(run.folder))]
    if facts is not None:
        budget = [f"{facts.max_trials} trials"]
        if facts.timeout_seconds:
            budget.append(f"{facts.timeout_seconds:g} s")
        pairs += [
            ("started", facts.started),
            ("machine", facts.machine),
            ("budget", " or ".join(budget)),
            ("criterion", facts.criterion),
            ("versions", ", ".join(f"{name} {v}" for name, v in facts.versions.items())),
        ]
    if outcome.timing_noise is not None:
        pairs.append(("timing noise", f"FP32's own timings vary by {outcome.timing_noise:.1%}"))
    if outcome.calibration is not None:
        pairs.append(("calibration", calibration_text(outcome.calibration)))
    if outcome.experiment_id is not None:
        pairs.append(("experiment", f"{outcome.experiment_id} in {outcome.storage}"))
    if outcome.costliest_ops:
        costs = ", ".join(f"{c.op} ({c.accuracy_cost:+.4f})" for c in outcome.costliest_ops)
        pairs.append(("costliest ops in int8", costs))
    return definition_list(pairs)


def definition_list(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and what they stand for."""
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)


def _four(value: float | None) -> str:
    return accuracy_text(value)


def _digits(value: float) -> str:
    """Three digits that say something."""
    if not math.isfinite(value) or value == 0:
        return f"{value:.3g}"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"
