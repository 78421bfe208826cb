"""Everyone who races: what they may suggest, and the plans of those that follow one."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_benchmarks.research.landscapes.synthetic import synthetic_landscape
from nc_sigopt_benchmarks.research.racing import competitors
from nc_sigopt_benchmarks.research.racing.competitors import COMPETITORS, check_names, skip_reason
from nc_sigopt_benchmarks.research.racing.run import play
from nc_sigopt_strategy.errors import MissingExtraError, SettingsError
from tests.benchmarks.race_landscapes import small_landscape

HERE = [name for name in COMPETITORS if skip_reason(name) is None]


@pytest.mark.parametrize("family", ["chain", "variants"])
@pytest.mark.parametrize("name", HERE)
def test_suggestions_are_valid_and_never_repeated(name: str, family: str) -> None:
    landscape = synthetic_landscape(family, 1)
    sizes = np.array([len(values) for values in landscape.parameters.values()])

    played = play(landscape, 1, name, 14)

    assert played.error is None
    assert len({trial.key for trial in played.trials}) == len(played.trials) > played.seeded
    for trial in played.trials:
        assert trial.choice.shape == sizes.shape
        assert ((trial.choice >= 0) & (trial.choice < sizes)).all()


@pytest.mark.parametrize("name", HERE)
def test_a_space_that_is_used_up_ends_the_run(name: str) -> None:
    played = play(small_landscape(error=0.01), 0, name, 40)

    assert played.error is None
    assert len({trial.key for trial in played.trials}) == len(played.trials) <= 27


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii", "mse_v2-greedy"])
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    landscape = synthetic_landscape("chain", 2)

    first, again = (play(landscape, 5, name, 15).trials for _ in range(2))

    assert [trial.key for trial in first] == [trial.key for trial in again]


def choices(name: str, trials: int = 40) -> list[list[int]]:
    return [trial.choice.tolist() for trial in play(small_landscape(), 0, name, trials).trials]


def test_basic_falls_back_one_by_one_and_then_together() -> None:
    """The common first ones are the default, all fp32 and all bf16."""
    tried = choices("basic-fallback")

    assert tried[:3] == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    # Each alone in bf16, from the last; the first helps most, then the second.
    assert tried[3:7] == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    # The best so far is still the default: INC falls back from the best of its first stage.
    assert tried[7:] == [[0, 0, 2], [0, 2, 0], [2, 0, 0], [2, 2, 0]]


def test_mse_v2_takes_out_the_most_sensitive_until_the_bound_is_met() -> None:
    tried = choices("mse_v2-greedy")

    # One op out is enough, and INC does not take back the only one.
    assert tried[3:] == [[1, 0, 0]]


def test_greedy_measures_ops_alone_and_takes_out_the_best_ratio() -> None:
    tried = choices("greedy-noise-per-ms")

    assert sorted(tried[3:6]) == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert len(tried) == 6, "the first of the order meets the bound and was tried alone"


def test_binary_splitting_goes_back_to_int8_from_the_faster_whole() -> None:
    tried = choices("binary-splitting", 6)

    assert tried[3:6] == [[1, 0, 1], [0, 0, 1], [1, 0, 0]]


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"no competitor 'quantisation'.*'quantization'"):
        check_names(["tpe", "quantisation"])


def test_a_missing_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors.importlib.util, "find_spec", lambda name: None)

    assert skip_reason("gp") == "torch is not installed"
    assert skip_reason("tpe") is None
    with pytest.raises(MissingExtraError, match="'gp' cannot race: torch is not installed"):
        play(small_landscape(), 0, "gp", 5)
