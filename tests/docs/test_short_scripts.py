"""The short scripts and configurations of the guide, as they stand on their pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nc_sigopt_strategy.settings.settings import KEYS
from tests.server.serving import ServerProcess, make_token

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


def blocks(page: str, language: str) -> list[str]:
    """The page's blocks of code in a language."""
    text = (GUIDE / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_engine_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("rest_api.md", "python")
    names: dict[str, Any] = {}
    exec(script, names)
    names["driver"].close()
    assert (tmp_path / "runs.db").is_file()


def test_a_client_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("server.md", "python")
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    (tmp_path / "token.txt").write_text(f"{make_token(storage)}\n")
    with ServerProcess(storage) as server:
        exec(script.replace("http://127.0.0.1:8340", server.url), {})


@pytest.mark.parametrize("page", ["workers.md", "sigopt_server.md"])
def test_settings_in_scripts_are_settings(page: str) -> None:
    for script in blocks(page, "python"):
        for settings in re.findall(r"strategy_kwargs = (\{.*?\})", script, re.DOTALL):
            assert set(eval(settings, {"url": "sqlite:///x.db"})) <= set(KEYS)


@pytest.mark.parametrize("page", ["benchmark.md", "models_and_data.md"])
def test_configurations_have_keys_that_are_read(page: str, tmp_path: Path) -> None:
    reader = pytest.importorskip("nc_sigopt_benchmarks.config.yaml_file")
    complete = {
        "model": {"name": "mobilenet_v1", "source": "assets", "format": "frozen"},
        "data": {"source": "assets", "calibration_images": 100, "evaluation_images": 400},
        "strategies": [{"name": "sigopt"}],
    }
    for number, text in enumerate(blocks(page, "yaml")):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump({**complete, **yaml.safe_load(text)}))
        assert reader.read_config(path).strategies
