"""The page's part on other data: how sure it is that finalists keep the bound there."""

from __future__ import annotations

import dataclasses
from html import escape

from nc_sigopt_strategy.console.cells import NOTHING, accuracy_text, probability_text
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.outcome import Outcome

_COLUMNS = (
    ("trial", "Its number"),
    ("times FP32", "Timed side by side"),
    ("accuracy", "On the data that it was tuned on"),
    ("differs from FP32", "Accuracy less FP32's with a 95 % interval, from the inputs that the "
     "two answer differently; needs an evaluation that gives a score per input"),
    ("keeps the bound", "The probability on as much other data of the kind"),
    ("to settle it", "How much data would say whether it does"),
    ("confirm_func", "What it found"),
    ("remark", "Why it was passed over"),
)  # fmt: skip


def other_data(outcome: Outcome) -> str:
    """A section with a row per finalist; empty where nobody knows anything of other data."""
    finalists = outcome.finalists or tuple(filter(None, (outcome.most_probable,)))
    best, winner = outcome.best_finalist, "the winner"
    if outcome.returns_fp32:
        # The bound is a loss against FP32: a probability that FP32 keeps it says nothing.
        winner += ": FP32, by which the bound is measured"
        finalists = tuple(_of_fp32(one) if one == best else one for one in finalists)
    if all(one.bound_probability is None and one.confirmed_accuracy is None for one in finalists):
        return ""
    head = "".join(
        f'<th scope="col" title="{escape(said)}">{escape(name)}</th>' for name, said in _COLUMNS
    )
    number = None if best is None else best.trial
    rows = "".join(_row(one, winner if one.trial == number else "") for one in finalists)
    asked = outcome.bound_confidence
    note = "" if asked is None else f"<p class=note>bound_confidence is {asked:g}.</p>"
    return (
        "<h2 id=otherdata>Does the bound hold on other data?</h2>"
        f"{note}<div class=wide><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _of_fp32(one: Finalist) -> Finalist:
    return dataclasses.replace(one, bound_probability=None, data_to_settle=None, difference=None)


def _row(one: Finalist, remark: str) -> str:
    difference, speedup = one.difference, one.speedup
    cells = (
        str(one.trial),
        NOTHING if speedup is None else f"{speedup.value:.2f}",
        accuracy_text(one.accuracy),
        NOTHING
        if difference is None
        else f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})",
        probability_text(one.bound_probability),
        _to_settle(one),
        accuracy_text(one.confirmed_accuracy),
        one.passed_over or remark,
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _to_settle(one: Finalist) -> str:
    if one.data_to_settle is None:
        return NOTHING
    if one.inputs is None:
        return f"{one.data_to_settle:.0f} times as much"
    return f"{one.data_to_settle * one.inputs:,.0f} inputs"
