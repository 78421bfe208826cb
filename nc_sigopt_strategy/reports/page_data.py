"""What the page's script draws, as compact JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.reports.run_record import RunRecord
from nc_sigopt_strategy.reports.short_names import short_names
from nc_sigopt_strategy.reports.type_colours import type_colours
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord

# A character per op says which of the labels it has; this one, that it has none.
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NONE = "."


def page_data(run: RunRecord) -> dict[str, Any]:
    """JSON-safe data: ops, types with their colours, trials and what follows from them.

    Latencies are in milliseconds for one batch; ``choices`` of a trial has a character per op,
    the place of its type among ``types``.
    """
    outcome, names, labels = run.outcome, run.op_names, run.labels
    fp32 = outcome.fp32_latency_seconds
    return {
        "model": run.title,
        "running": run.running,
        "baseline": outcome.baseline_accuracy,
        "target": outcome.accuracy_target,
        "higher": outcome.higher_is_better,
        "fp32": None if fp32 is None else 1e3 * fp32,
        "shown": _shown(outcome),
        "found": outcome.best is not None,
        "ops": names,
        "short": short_names(names),
        "types": labels,
        "colours": list(type_colours(labels).values()),
        "trials": [
            _trial(trial, chosen, names, labels, fp32)
            for trial, chosen in zip(run.trials, run.ops, strict=True)
        ],
        "others": [[o.loss, o.accuracy, o.speedup, o.trial] for o in outcome.other_bounds],
        "contributions": _contributions(outcome),
    }


def as_script(data: Mapping[str, Any]) -> str:
    """Data as JSON that can stand inside a script element: nothing in it can close that."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(outcome: Outcome) -> int | None:
    """The trial that others are compared with: the winner, else the nearest miss."""
    trial = outcome.best or outcome.nearest_miss
    return None if trial is None else trial.number


def _trial(
    trial: TrialRecord,
    chosen: Mapping[str, str],
    names: list[str],
    labels: list[str],
    fp32: float | None,
) -> dict[str, Any]:
    latency = trial.latency_seconds
    place = {label: _DIGITS[position % len(_DIGITS)] for position, label in enumerate(labels)}
    return {
        "n": trial.number,
        "origin": trial.origin,
        "accuracy": trial.accuracy,
        "met": trial.meets_bound,
        "ms": None if latency is None else 1e3 * latency,
        "error": None if trial.latency_stddev is None else 1e3 * trial.latency_stddev,
        "speed": fp32 / latency if fp32 and latency else None,
        "noise": trial.output_noise,
        "failure": trial.failure,
        "same": trial.duplicate_of,
        "choices": "".join(place.get(chosen.get(name, ""), _NONE) for name in names),
    }


def _contributions(outcome: Outcome) -> list[list[Any]]:
    """Per op: short name, type, milliseconds saved and their error, cost and its error, noise."""
    ops = outcome.op_contributions
    names = short_names([op.op for op in ops])
    return [
        [
            name,
            op.value,
            op.milliseconds_saved,
            op.milliseconds_stderr,
            op.accuracy_cost,
            op.accuracy_cost_stderr,
            op.noise,
        ]
        for name, op in zip(names, ops, strict=True)
    ]
