"""Which runs a comparison is made of, and going on with one that was interrupted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from nc_sigopt_benchmarks.comparing.resuming import CONFIG_FILE, open_run_folder
from nc_sigopt_benchmarks.config.run_config import (
    ModelConfig,
    RunConfig,
    SessionConfig,
    StrategyConfig,
    TuningConfig,
)
from nc_sigopt_benchmarks.running.run_plan import planned_runs
from nc_sigopt_strategy.errors import ConfigFileError

STRATEGIES = tuple(StrategyConfig(name, name) for name in ("basic", "auto", "mse", "sigopt"))


def config(tmp_path: Path, **tuning: object) -> RunConfig:
    return RunConfig(
        STRATEGIES,
        path=tmp_path / "run.yaml",
        tuning=TuningConfig(**tuning),  # type: ignore[arg-type]
        output=tmp_path / "runs",
    )


def test_each_repeat_has_every_strategy_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    runs = planned_runs(config(tmp_path, repeats=6, seed=3))
    assert len(runs) == 24
    orders = [
        tuple(run.name for run in runs[start : start + 4]) for start in range(0, len(runs), 4)
    ]
    assert all(sorted(order) == ["auto", "basic", "mse", "sigopt"] for order in orders)
    assert len(set(orders)) > 1
    assert {run.seed for run in runs} == {3, 4, 5, 6, 7, 8}
    assert len({run.label for run in runs}) == 24
    assert runs == planned_runs(config(tmp_path, repeats=6, seed=3))
    assert runs != planned_runs(config(tmp_path, repeats=6, seed=4))


def test_as_listed_and_under_their_own_names(tmp_path: Path) -> None:
    runs = planned_runs(config(tmp_path, shuffle=False))
    assert [run.label for run in runs] == ["basic", "auto", "mse", "sigopt"]


def test_a_strategy_can_have_a_budget_of_its_own(tmp_path: Path) -> None:
    longer = StrategyConfig("mse_v2", "mse_v2", timeout=3600, max_trials=7)
    whole = dataclasses.replace(config(tmp_path, timeout=60), strategies=(*STRATEGIES, longer))
    by_name = {run.name: run for run in planned_runs(whole)}
    assert (by_name["mse_v2"].timeout, by_name["mse_v2"].max_trials) == (3600, 7)
    assert by_name["mse_v2"].budget == "3600 s"
    assert by_name["basic"].timeout == 60


def test_a_configuration_survives_its_record(tmp_path: Path) -> None:
    whole = dataclasses.replace(
        config(tmp_path),
        model=ModelConfig(path=tmp_path / "m.onnx", inputs=("a",), session=SessionConfig(2, 1)),
    )
    assert RunConfig.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_resuming_takes_the_same_configuration(tmp_path: Path) -> None:
    before = config(tmp_path, timeout=60)
    folder = open_run_folder(before, None)
    assert (folder / CONFIG_FILE).is_file()
    assert open_run_folder(before, folder) == folder
    moved = dataclasses.replace(before, output=tmp_path / "elsewhere")
    assert open_run_folder(moved, folder) == folder


def test_resuming_names_what_changed(tmp_path: Path) -> None:
    folder = open_run_folder(config(tmp_path, timeout=60), None)
    with pytest.raises(ConfigFileError, match=r"tuning\.timeout was 60 and is 90"):
        open_run_folder(config(tmp_path, timeout=90), folder)


def test_resuming_what_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"config\.json cannot be read"):
        open_run_folder(config(tmp_path), tmp_path)
