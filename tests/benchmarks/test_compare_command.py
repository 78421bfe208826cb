"""``nc-sigopt compare``: what its exit code and its output say of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nc_sigopt_benchmarks.comparing import compare as comparing
from nc_sigopt_benchmarks.config import yaml_file
from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import FOUND, INTERRUPTED, NOTHING_FOUND, WRONG_USE
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState

Fake = Callable[[Callable[..., Any]], Result]


def comparison(found: bool, interrupted: bool = False, wrong_use: bool = False) -> Comparison:
    trial = TrialRecord(number=1, state=TrialState.OBSERVED, accuracy=0.9, meets_bound=found)
    outcome = Outcome(
        strategy="sigopt",
        found=found,
        stop_reason="The time is up.",
        best=trial if found else None,
        nearest_miss=None if found else trial,
    )
    return Comparison(
        name="x",
        started="now",
        model="m",
        accuracy_note="Accuracy is of a small data set.",
        bound="accuracy at least 0.9",
        baseline_accuracy=0.9,
        accuracy_target=0.9,
        higher_is_better=True,
        batch_size=20,
        strategies=(StrategyResult("sigopt", outcome, wrong_use=wrong_use),),
        verdicts=("basic and sigopt tie.",),
        interrupted=interrupted,
    )


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Run the command with something else that compares."""

    def run(function: Callable[..., Any]) -> Result:
        monkeypatch.setattr(yaml_file, "read_config", lambda path: path)
        monkeypatch.setattr(comparing, "compare", function)
        return CliRunner().invoke(cli, ["compare", "any.yaml"])

    return run


@pytest.mark.parametrize(
    ("found", "interrupted", "code"),
    [(True, False, FOUND), (False, False, NOTHING_FOUND), (True, True, INTERRUPTED)],
    ids=["found", "none", "interrupted"],
)
def test_compare_exits_by_what_it_found(
    found: bool, interrupted: bool, code: int, compare: Fake
) -> None:
    result = compare(lambda config, tell, **_: (comparison(found, interrupted), Path("runs/x")))
    assert result.exit_code == code
    assert "basic and sigopt tie." in result.output
    assert "Accuracy is of a small data set." in result.output


def test_compare_exits_with_2_when_no_strategy_could_be_used(compare: Fake) -> None:
    made = comparison(False, wrong_use=True)
    assert compare(lambda config, tell, **_: (made, Path("runs/x"))).exit_code == WRONG_USE


def test_an_unexpected_exception_is_not_hidden(compare: Fake) -> None:
    def broken(config: Any, tell: Any, **_: Any) -> Any:
        raise ZeroDivisionError

    assert isinstance(compare(broken).exception, ZeroDivisionError)
