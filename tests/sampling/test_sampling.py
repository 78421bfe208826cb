"""Samplers by name, and the numbering of finite search spaces."""

from __future__ import annotations

import itertools
import sys
import warnings
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from nc_sigopt_strategy.errors import MissingExtraError, SettingsError
from nc_sigopt_strategy.sampling import (
    DEFAULT_SAMPLER,
    WITHDRAWN_ATTR,
    Enumeration,
    available_samplers,
    check_sampler_name,
    make_sampler,
)
from nc_sigopt_strategy.sampling.asking import ask
from nc_sigopt_strategy.settings.settings import Settings

SPACE: dict[str, BaseDistribution] = {
    "conv": CategoricalDistribution(("int8", "bf16", "fp32")),
    "depth": IntDistribution(2, 4),
}


def _study(trials: list[dict[str, Any]], **extra: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for index, params in enumerate(trials):
        study.add_trial(
            create_trial(params=params, distributions=SPACE, value=float(index), **extra)
        )
    return study


def _sample(name: str, study: optuna.Study, seed: int | None = 1) -> dict[str, Any]:
    """What the embedded engine does with a sampler."""
    sampler = make_sampler(name, seed=seed, search_space=SPACE, constraints_func=None)
    return ask(sampler, study, SPACE, len(study.trials))


# The first parameter changes fastest.
ALL = [{"conv": c, "depth": d} for d in (2, 3, 4) for c in ("int8", "bf16", "fp32")]


@pytest.mark.parametrize("name", available_samplers())
@pytest.mark.parametrize("history", [0, 12])
def test_samples_are_in_the_space_and_follow_the_seed(name: str, history: int) -> None:
    study = _study([ALL[index % 9] for index in range(history)])
    samples = [_sample(name, study, seed) for seed in range(20)]
    assert all(sample in ALL for sample in samples)
    assert samples == [_sample(name, study, seed) for seed in range(20)]
    if name == "random" or (name == "tpe" and history == 0):
        assert len({tuple(sample.values()) for sample in samples}) > 1


def test_tpe_prefers_what_was_good() -> None:
    """Only the first of nine kinds of trial is good."""
    trials = [dict(point) for point in ALL for _ in range(3)]
    study = _study(trials)  # values grow with the position
    drawn = [_sample("tpe", study, seed)["conv"] for seed in range(40)]
    assert drawn.count("int8") > 30
    random = [_sample("random", study, seed)["conv"] for seed in range(40)]
    assert random.count("int8") < 30


def test_tpe_heeds_constraints() -> None:
    trials = [dict(point) for point in ALL for _ in range(3)]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for index, params in enumerate(trials):
        violated = 1.0 if params["conv"] == "int8" else 0.0
        study.add_trial(
            create_trial(
                params=params,
                distributions=SPACE,
                value=float(index),
                system_attrs={"constraints": [violated]},
            )
        )
    drawn = []
    for seed in range(40):
        sampler = make_sampler(
            "tpe",
            seed=seed,
            search_space=SPACE,
            constraints_func=lambda trial: trial.system_attrs["constraints"],
        )
        drawn.append(ask(sampler, study, SPACE, len(trials))["conv"])
    assert drawn.count("bf16") > 30


class _Scribbling(optuna.samplers.BaseSampler):
    """Writes to the study and to the trial that it is asked for, and reads what it wrote."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        storage, trial_id = study._storage, trial._trial_id
        storage.set_trial_system_attr(trial_id, "written", {"once": 1})
        storage.set_trial_user_attr(trial_id, "noted", 2)
        storage.set_study_system_attr(study._study_id, "generation", 3)
        study.set_user_attr("seen", 4)
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, domain: Any) -> Any:
        storage, trial_id = study._storage, trial._trial_id
        assert storage.get_trial_system_attrs(trial_id) == {"written": {"once": 1}}
        assert storage.get_trial_user_attrs(trial_id) == {"noted": 2}
        assert storage.get_study_system_attrs(study._study_id) == {"generation": 3}
        assert study.user_attrs == {"seen": 4}
        latest = study.get_trials()[-1]
        assert (latest.number, latest.state) == (trial.number, TrialState.RUNNING)
        assert latest.system_attrs == {"written": {"once": 1}}
        return domain.to_external_repr(domain.to_internal_repr(ALL[3][name]))


def test_a_sampler_may_write_to_the_trial_that_it_is_asked_for() -> None:
    study = _study(ALL[:3])
    assert ask(_Scribbling(), study, SPACE, 3) == ALL[3]
    assert len(study.trials) == 3
    assert study.user_attrs == {}
    assert all(not trial.system_attrs and not trial.user_attrs for trial in study.trials)


def test_a_sampler_that_shares_what_it_suggests() -> None:
    """TPE writes its suggestion to the trial when it tells other workers of it."""
    study = _study(ALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=1, multivariate=True, constant_liar=True, n_startup_trials=2
        )
    assert ask(sampler, study, SPACE, len(ALL)) in ALL
    assert len(study.trials) == len(ALL)


def test_grid_goes_through_the_product_in_order() -> None:
    found: list[dict[str, Any]] = []
    for _ in range(9):
        found.append(_sample("grid", _study(found)))
    assert found == ALL
    assert _sample("grid", _study(found)) == ALL[0]


def test_grid_counts_failed_points_but_not_withdrawn_ones() -> None:
    study = _study([ALL[0]])
    failed = {"params": ALL[1], "distributions": SPACE, "state": TrialState.FAIL}
    study.add_trial(create_trial(**failed))
    assert _sample("grid", study) == ALL[2]
    withdrawn = {**failed, "params": ALL[2], "user_attrs": {WITHDRAWN_ATTR: 1}}
    study.add_trial(create_trial(**withdrawn))
    assert _sample("grid", study) == ALL[2]


def test_grid_of_a_huge_product_is_never_listed() -> None:
    space: dict[str, BaseDistribution] = {
        f"p{index:03}": CategoricalDistribution(tuple("abcdef")) for index in range(150)
    }
    sampler = make_sampler("grid", seed=None, search_space=space, constraints_func=None)
    trial = create_trial(state=TrialState.RUNNING)
    assert set(sampler.sample_relative(optuna.create_study(), trial, space).values()) == {"a"}


def test_grid_refuses_a_continuous_parameter() -> None:
    space = {"rate": FloatDistribution(0, 1)}
    with pytest.raises(SettingsError, match="rate is continuous"):
        make_sampler("grid", seed=None, search_space=space, constraints_func=None)


@pytest.mark.parametrize("name", available_samplers())
def test_no_warning_reaches_the_user(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = make_sampler(
            name, seed=1, search_space=SPACE, constraints_func=lambda trial: [0.0]
        )
        ask(sampler, _study(ALL, system_attrs={"constraints": [0.0]}), SPACE, len(ALL))


def test_other_warnings_of_optuna_still_do() -> None:
    make_sampler("tpe", seed=1, search_space=SPACE, constraints_func=None)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        optuna.samplers.TPESampler(multivariate=True, group=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("TPE", "Did you mean 'tpe'"),
        ("rand", "Did you mean 'random'"),
        ("gird", "Did you mean 'grid'"),
        ("bayesian", "quantization, tpe, gp, random, grid"),
    ],
)
def test_unknown_sampler(name: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_sampler_name(name)
    assert words in str(caught.value)
    assert repr(name) in str(caught.value)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_enumeration_is_the_product_in_order(sizes: list[int]) -> None:
    space: dict[str, BaseDistribution] = {
        f"p{index}": IntDistribution(3, 2 + size)
        if index % 2
        else CategoricalDistribution(tuple(range(size)))
        for index, size in enumerate(sizes)
    }
    enumeration = Enumeration(space)
    everything = [
        dict(zip(space, combination, strict=True))
        for combination in itertools.product(
            *(range(3, 3 + size) if index % 2 else range(size) for index, size in enumerate(sizes))
        )
    ]
    assert enumeration.size == len(everything)
    assert [enumeration.unrank(rank) for rank in range(enumeration.size)] == everything
    assert [enumeration.rank(params) for params in everything] == list(range(len(everything)))


def test_enumeration_needs_a_finite_space() -> None:
    assert Enumeration.is_finite(SPACE)
    assert not Enumeration.is_finite({**SPACE, "rate": FloatDistribution(0, 1)})
    with pytest.raises(ValueError, match="rate is continuous"):
        Enumeration({"rate": FloatDistribution(0, 1)})


def test_a_sampler_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("torch", "scipy"):
        monkeypatch.setitem(sys.modules, needed, None)
    with pytest.raises(MissingExtraError, match="'gp' needs torch and scipy"):
        check_sampler_name("gp")
    assert "gp" not in available_samplers()
    assert {"quantization", "tpe"} <= set(available_samplers())


def test_settings_have_the_default_sampler() -> None:
    """Written there as a plain string, so that reading settings does not import Optuna."""
    assert Settings().sampler == DEFAULT_SAMPLER
