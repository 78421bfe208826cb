"""Outcome and trials survive the way to a file and back."""

from __future__ import annotations

import json
import math
from pathlib import Path

from nc_sigopt_strategy.results.outcome import OpContribution, OpCost, OtherBound, Outcome
from nc_sigopt_strategy.results.run_files import (
    read_outcome,
    read_trials,
    write_outcome,
    write_trials,
)
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

TRIAL = TrialRecord(
    number=3,
    state=TrialState.OBSERVED,
    origin="seed: default int8",
    assignments={"conv1": "int8", "pool": "fp32"},
    accuracy=0.9225,
    meets_bound=True,
    latency_seconds=0.0031,
    phase_seconds={"quantize": 2.5},
    suggestion_id="17",
    stored_metrics={"f1": 0.81},
)


def test_trials_come_back_equal(tmp_path: Path) -> None:
    failed = TrialRecord(number=4, state=TrialState.FAILED, failure="ValueError: no kernel")
    write_trials([TRIAL, failed], tmp_path)
    assert read_trials(tmp_path) == [TRIAL, failed]


def test_an_outcome_comes_back_equal(tmp_path: Path) -> None:
    outcome = Outcome(
        strategy="sigopt",
        found=False,
        stop_reason="The time is up.",
        nearest_miss=TRIAL,
        costliest_ops=(OpCost("conv1", 0.02, 5),),
        tied=(3, 7),
        trials=9,
        front=(TRIAL,),
        session_options={"intra_op_num_threads": 2},
        model="net",
        runtime="onnxruntime",
        ops_by_type={"int8": 2},
        other_bounds=(OtherBound(0.02, 0.9, 2.4, 3),),
        op_contributions=(
            OpContribution("conv1", "int8", 1.5, 0.2, 0.001, None, 0.01),
            OpContribution("pool", "fp32", None, None, None, None, None),
        ),
    )
    write_outcome(outcome, tmp_path)
    assert read_outcome(tmp_path) == outcome


def test_what_an_earlier_version_wrote_can_be_read() -> None:
    outcome = Outcome(strategy="sigopt", found=True, stop_reason="", best=TRIAL)
    raw = outcome.to_json()
    later = (
        "front",
        "session_options",
        "op_contributions",
        "other_bounds",
        "ops_by_type",
        "model",
    )
    for new in later:
        del raw[new]
    del raw["best"]["stored_metrics"]
    found = Outcome.from_json(raw)
    assert (found.front, found.op_contributions, found.session_options) == ((), (), None)
    assert found.best is not None
    assert found.best.stored_metrics == {}


def test_an_outcome_is_its_verdict_wherever_it_is_shown() -> None:
    outcome = Outcome(
        "sigopt", True, "<The> end.", model="<b>", runtime="openvino", verdict="2 times & more."
    )
    assert str(outcome) == f"{outcome}" == "2 times & more."
    shown = outcome._repr_html_()
    assert "<strong>2 times &amp; more.</strong>" in shown
    assert "&lt;b&gt; on openvino" in shown
    assert "&lt;The&gt; end." in shown
    assert str(Outcome("sigopt", False, "It failed.")) == "It failed."


def test_nan_and_infinity_become_null(tmp_path: Path) -> None:
    trial = TrialRecord(
        number=1, state=TrialState.FAILED, accuracy=math.nan, latency_seconds=math.inf
    )
    path = write_trials([trial], tmp_path)
    raw = json.loads(path.read_text(), parse_constant=lambda name: f"not JSON: {name}")
    assert raw["accuracy"] is None
    assert raw["latency_seconds"] is None


def test_keys_of_a_later_version_are_dropped() -> None:
    raw = {**TRIAL.to_json(), "invented_later": 1}
    assert TrialRecord.from_json(raw) == TRIAL
