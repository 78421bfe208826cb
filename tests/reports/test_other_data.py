"""What the page says of other data."""

from __future__ import annotations

import dataclasses

from nc_sigopt_strategy.console.outcome_table import outcome_text
from nc_sigopt_strategy.reports.other_data import other_data
from nc_sigopt_strategy.results.finalist import Finalist
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.winners.in_words import confidence_in_words


def test_the_section_says_whether_the_bound_holds_on_other_data() -> None:
    finalists = (
        Finalist(
            3, 0.92, 0.01, Interval(2.0, 1.9, 2.1), 0.8, 3.0, Interval(-0.01, -0.04, 0.02), 400
        ),
        Finalist(4, 0.93, 0.02, None, 0.2, 4.0, passed_over="confirm_func found <less>"),
    )
    outcome = Outcome(
        "sigopt", True, "", finalists=finalists, bound_confidence=0.5,
        best=TrialRecord(3, TrialState.OBSERVED),
    )  # fmt: skip
    section = other_data(outcome)
    assert "-0.0100 (-0.0400 to +0.0200)" in section
    assert "1,200 inputs" in section
    assert "4 times as much" in section
    assert "&lt;less&gt;" in section
    assert "the winner" in section
    assert other_data(Outcome("sigopt", True, "", finalists=(Finalist(1, 0.9, 0.1),))) == ""
    refused = Outcome("sigopt", False, "", most_probable=finalists[1], bound_confidence=0.95)
    assert "bound_confidence is 0.95" in other_data(refused)
    assert "0.20" in other_data(refused)


def test_nothing_is_found_out_of_fp32_which_the_bound_is_measured_by() -> None:
    best = Finalist(3, 0.94, 0.02, None, 1.0, None, Interval(0.0, 0.0, 0.0), 400)
    other = Finalist(4, 0.92, 0.01, None, 0.7, 3.0)
    outcome = Outcome(
        "sigopt", True, "The time is up.", finalists=(best, other),
        best=TrialRecord(3, TrialState.OBSERVED, accuracy=0.94), ops_by_type={"fp32": 29},
    )  # fmt: skip
    section = other_data(outcome)
    assert "the winner: FP32" in section
    assert "above 0.99" not in section
    assert "0.70" in section
    assert other_data(dataclasses.replace(outcome, finalists=(best,))) == ""
    assert confidence_in_words(outcome) == []
    assert "keeps the bound with" not in outcome_text(outcome)
    quantized = dataclasses.replace(outcome, ops_by_type={"int8": 1, "fp32": 28})
    assert "above 0.99" in other_data(quantized)
    assert "above 0.99" in " ".join(confidence_in_words(quantized))
    assert "keeps the bound with" in outcome_text(quantized)
