"""Run configurations by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nc_sigopt_benchmarks.commands.run_configs import read_run_config
from nc_sigopt_benchmarks.comparing import compare as comparing
from nc_sigopt_benchmarks.config.builtin import builtin_names, named_config
from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import WRONG_USE
from nc_sigopt_strategy.errors import ConfigFileError

CONFIGS = Path(__file__).parents[2] / "configs"


def test_all_of_the_checkout_have_a_name() -> None:
    assert builtin_names() == sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def test_a_name_is_looked_up_wherever_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_config(Path("demo")) == CONFIGS / "demo.yaml"
    assert read_run_config(Path("demo")).name == "demo"


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").write_text("name: mine\n")
    assert named_config(Path("demo")) == Path("demo")


@pytest.mark.parametrize("path", ["demos", "demo.yaml", "configs/demo", "./x/../demo.yaml"])
def test_everything_else_is_a_path(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named_config(Path(path)) == Path(path)
    with pytest.raises(ConfigFileError, match=r"cannot be read.*built-in one: .*demo.*quick"):
        read_run_config(Path(path))


def test_compare_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    got = []

    def compare(config: object, *_: object, **__: object) -> None:
        got.append(config)
        raise ConfigFileError("That was all.")

    monkeypatch.setattr(comparing, "compare", compare)
    ran = CliRunner().invoke(cli, ["compare", "quick"])
    assert ran.exit_code == WRONG_USE
    assert [config.name for config in got] == ["quick"]  # type: ignore[attr-defined]
