"""``PostTrainingQuantConfig(strategy="sigopt")``, as users write it, with INC's own class."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest
from neural_compressor import config

import nc_sigopt_strategy
from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.hosts.inc.flat_keywords import FLAT_KEYWORDS, take_flat_keywords


def said(**kwargs: Any) -> dict[str, Any]:
    criterion = config.PostTrainingQuantConfig(**kwargs).tuning_criterion
    return {name: getattr(criterion, name) for name in FLAT_KEYWORDS}


def test_the_name_alone_is_enough() -> None:
    usual = config.TuningCriterion()
    assert said(strategy="sigopt") == {
        "strategy": "sigopt",
        "strategy_kwargs": usual.strategy_kwargs,
        "timeout": usual.timeout,
        "max_trials": usual.max_trials,
    }


def test_all_keywords_reach_the_criterion_beside_others() -> None:
    given = {
        "strategy": "sigopt",
        "strategy_kwargs": {"finalists": 5},
        "timeout": 60,
        "max_trials": 7,
    }
    assert said(**given) == given
    conf = config.PostTrainingQuantConfig("cpu", approach="dynamic", **given)
    assert (conf.device, conf.approach) == ("cpu", "post_training_dynamic_quant")


def test_another_strategy_takes_them_too() -> None:
    assert said(strategy="basic", max_trials=3)["max_trials"] == 3
    assert said(timeout=5)["strategy"] == config.TuningCriterion().strategy


def test_one_configuration_does_not_change_the_next() -> None:
    said(strategy="sigopt", max_trials=3, timeout=9)
    usual = (
        inspect.signature(config.PostTrainingQuantConfig).parameters["tuning_criterion"].default
    )
    assert said() == {name: getattr(usual, name) for name in FLAT_KEYWORDS}


def test_a_criterion_of_ones_own_is_used_as_ever() -> None:
    criterion = config.TuningCriterion(strategy="sigopt", max_trials=4)
    conf = config.PostTrainingQuantConfig(tuning_criterion=criterion)
    assert conf.tuning_criterion is criterion


@pytest.mark.parametrize("place", ["by name", "by position"])
def test_both_ways_at_once_are_one_clear_error(place: str) -> None:
    criterion = config.TuningCriterion(strategy="sigopt")
    parameters = inspect.signature(config.PostTrainingQuantConfig).parameters
    at = list(parameters).index("tuning_criterion")
    before = [parameter.default for parameter in parameters.values()][:at]
    args = [*before, criterion] if place == "by position" else []
    kwargs = {} if args else {"tuning_criterion": criterion}
    with pytest.raises(SettingsError, match="got both tuning_criterion and timeout, max_trials"):
        config.PostTrainingQuantConfig(*args, **kwargs, max_trials=3, timeout=4)


def test_wrong_names_and_keywords_are_refused_as_ever() -> None:
    with pytest.raises(AssertionError):
        config.PostTrainingQuantConfig(strategy="sigoptt")
    with pytest.raises(TypeError, match="stratgy"):
        config.PostTrainingQuantConfig(stratgy="sigopt")


def test_extending_again_changes_nothing() -> None:
    extended = config.PostTrainingQuantConfig.__init__
    take_flat_keywords(config)
    nc_sigopt_strategy.register()
    assert config.PostTrainingQuantConfig.__init__ is extended


def test_the_short_form_of_the_package_is_incs_class() -> None:
    conf = nc_sigopt_strategy.PostTrainingQuantConfig(timeout=3)
    assert type(conf) is config.PostTrainingQuantConfig
    assert conf.tuning_criterion.strategy == "sigopt"
    assert conf.tuning_criterion.timeout == 3
    with pytest.raises(SettingsError, match="both"):
        nc_sigopt_strategy.PostTrainingQuantConfig(tuning_criterion=config.TuningCriterion())


@pytest.mark.parametrize(
    "imports",
    [
        "from neural_compressor.config import PostTrainingQuantConfig; import nc_sigopt_strategy",
        "import nc_sigopt_strategy; from neural_compressor.config import PostTrainingQuantConfig",
    ],
)
def test_in_both_orders_of_import(imports: str) -> None:
    code = f"{imports}\nconf = PostTrainingQuantConfig(strategy='sigopt', timeout=8)\n"
    code += "print(conf.tuning_criterion.strategy, conf.tuning_criterion.timeout)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "sigopt 8"
