"""What ``nc-sigopt check`` says of the evaluation's single inputs."""

from __future__ import annotations

import dataclasses

from nc_sigopt_strategy.cli.check import _figures, _found
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.paired_inputs import PairedInputs
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

OUTCOME = Outcome(
    strategy="sigopt",
    found=True,
    stop_reason="the trials are used up",
    baseline_accuracy=0.93,
    accuracy_target=0.9207,
)
TRIAL = TrialRecord(
    1,
    TrialState.OBSERVED,
    accuracy=0.925,
    latency_seconds=0.1,
    meets_bound=True,
    started_seconds=1.0,
    ended_seconds=3.0,
)
PAIRED = dataclasses.replace(TRIAL, paired=PairedInputs(400, 400, 7, 9))


def test_one_number_is_told_what_scores_would_bring() -> None:
    assert "gives one number: let it yield a score of each input" in " ".join(
        _found(OUTCOME, TRIAL)
    )
    figures = _figures(OUTCOME, TRIAL)
    assert figures["evaluated_inputs"] is None
    assert figures["inputs_to_be_sure"] is None


def test_scores_say_how_many_inputs_settle_the_bound() -> None:
    said = " ".join(_found(OUTCOME, PAIRED))
    assert "has 400 inputs: default int8 differs from FP32 on 16 of 400" in said
    assert "takes about 1,252 even if it loses nothing" in said
    figures = _figures(OUTCOME, PAIRED)
    assert (figures["evaluated_inputs"], figures["inputs_to_be_sure"]) == (400, 1252)


def test_a_bound_that_allows_nothing_is_settled_by_no_number() -> None:
    strict = dataclasses.replace(OUTCOME, accuracy_target=0.93)
    assert "to be sure" not in " ".join(_found(strict, PAIRED))
    assert _figures(strict, PAIRED)["inputs_to_be_sure"] is None
