"""INC's ``TuningCriterion`` says what is wrong with our settings before a model is loaded."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from neural_compressor import config

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.hosts.inc.criterion import hook_into_criterion
from nc_sigopt_strategy.hosts.inc.sealed_kwargs import revealed, seal

WRONG: list[tuple[Any, str]] = [
    ({"samplr": "tpe"}, "Did you mean 'sampler'"),
    ({"finalists": 0}, "finalists"),
    ({"goal": "pareto", "stop_at_first": True}, "stop_at_first=True does not go with"),
    ([1], "must be a dict, but is a list"),
]


@pytest.mark.parametrize(("kwargs", "said"), WRONG)
@pytest.mark.parametrize("make", [config.TuningCriterion, config.PostTrainingQuantConfig])
def test_wrong_settings_are_refused_where_they_are_given(
    make: Any, kwargs: Any, said: str
) -> None:
    if make is config.PostTrainingQuantConfig and not isinstance(kwargs, dict):
        pytest.skip("the configuration makes a dict of what it is given")
    with pytest.raises(SettingsError, match=said):
        make(strategy="sigopt", strategy_kwargs=kwargs)


@pytest.mark.parametrize(("kwargs", "said"), WRONG)
def test_also_where_they_are_set_later(kwargs: Any, said: str) -> None:
    criterion = config.TuningCriterion(strategy="sigopt", strategy_kwargs={"finalists": 2})
    with pytest.raises(SettingsError, match=said):
        criterion.strategy_kwargs = kwargs
    assert criterion.strategy_kwargs == {"finalists": 2}
    other = config.TuningCriterion(strategy="basic", strategy_kwargs=kwargs)
    with pytest.raises(SettingsError, match=said):
        other.strategy = "sigopt"
    assert other.strategy == "basic"


def test_settings_of_other_strategies_are_theirs() -> None:
    given = {"confidence_batches": 2, "anything": object()}
    criterion = config.TuningCriterion(strategy="mse_v2", strategy_kwargs=given)
    assert criterion.strategy_kwargs is given


def test_what_is_given_stays_the_users_own_object() -> None:
    given = {"finalists": 2}
    criterion = config.TuningCriterion(strategy="sigopt", strategy_kwargs=given)
    assert criterion.strategy_kwargs is given
    assert config.TuningCriterion(strategy="sigopt").strategy_kwargs is None


def test_a_sealed_copy_can_be_handed_on_and_is_refused_where_it_is_used() -> None:
    criterion = config.TuningCriterion(
        strategy="sigopt", strategy_kwargs={"sigopt_api_token": "T" * 48}
    )
    seal(criterion)
    copied = copy.deepcopy(criterion)
    copied.strategy_kwargs = copy.deepcopy(criterion.strategy_kwargs)
    with pytest.raises(SettingsError, match="are a copy"):
        revealed(copied.strategy_kwargs)


def test_hooking_in_again_changes_nothing() -> None:
    before = config.TuningCriterion.strategy_kwargs
    hook_into_criterion(config.TuningCriterion, "sigopt")
    assert config.TuningCriterion.strategy_kwargs is before


def test_a_class_that_was_imported_before_the_package_checks_them_too() -> None:
    code = (
        "from neural_compressor.config import TuningCriterion\n"
        "import nc_sigopt_strategy as ncs\n"
        "try:\n"
        "    TuningCriterion(strategy='sigopt', strategy_kwargs={'samplr': 'tpe'})\n"
        "except ncs.SigOptStrategyError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert "Did you mean 'sampler'" in done.stdout
