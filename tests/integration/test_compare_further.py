"""Comparisons that go on, are joined, hold models built at once, or all strategies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from tests.integration.test_compare import PIPELINE, only_run, results_of, run, write_config

pytestmark = pytest.mark.integration


def _comparison(folder: Path) -> Comparison:
    return comparison_from_json(json.loads((folder / "results.json").read_text()))


def _labels(raw: dict[str, Any]) -> list[str]:
    return [strategy["label"] for strategy in raw["strategies"]]


def test_what_was_run_is_not_run_again_and_can_be_joined(
    small_model: Path, tmp_path: Path
) -> None:
    uniform = "{name: uniform, label: exact, strategy_kwargs: {dtype: fp32}}"
    config = write_config(tmp_path, small_model, f"{{name: basic}}, {uniform}", trials=1)
    code, _, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    folder = only_run(tmp_path)
    before = (folder / "basic" / "outcome.json").read_bytes()
    # As if the second run had been interrupted.
    (folder / "exact" / "end.json").unlink()
    code, _, err = run("compare", str(config), "--resume", str(folder), folder=tmp_path)
    assert code == 0, err
    assert "basic was run before." in err
    assert "Tuning with exact" in err
    assert (folder / "basic" / "outcome.json").read_bytes() == before
    assert _labels(results_of(tmp_path)) == ["basic", "exact"]
    timed = {s.label: s.timed for s in _comparison(folder).strategies}
    assert all(timed.values())

    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    code, _, err = run("compare", "--from", str(folder), folder=tmp_path)
    assert code == 0, err
    assert len((folder / "report.html").read_bytes()) == pytest.approx(len(page), rel=0.05)

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    arguments = ["compare", "--from", str(folder), "--from", str(copy), "--retime"]
    code, _, err = run(*arguments, "--output", str(tmp_path / "joined"), folder=tmp_path)
    assert code == 0, err
    (joined,) = (tmp_path / "joined").iterdir()
    comparison = _comparison(joined)
    assert [s.label for s in comparison.strategies] == ["basic", "exact", "basic.2", "exact.2"]
    samples = {s.label: s.timed.samples for s in comparison.strategies if s.timed}
    assert len(samples) == 4
    assert len({len(values) for values in samples.values()}) == 1
    assert comparison.joined_from == (str(folder), str(copy))
    # Two copies of one model take the same time.
    over_basic = {s.label: s.over_basic for s in comparison.strategies}
    assert over_basic["basic.2"] is not None


def test_comparisons_of_two_models_are_not_joined(small_model: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}", trials=1)
    code, _, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    other = tmp_path / "other"
    shutil.copytree(only_run(tmp_path), other)
    raw = json.loads((other / "results.json").read_text())
    (other / "results.json").write_text(json.dumps({**raw, "batch_size": 77}))
    arguments = ["--from", str(only_run(tmp_path)), "--from", str(other)]
    code, _, err = run("compare", *arguments, folder=tmp_path)
    assert code == 2
    assert "batch_size is 8 in one and 77 in the other" in err


def test_every_strategy_has_its_row(small_model: Path, tmp_path: Path) -> None:
    names = ("auto", "conservative", "mse", "bayesian", "tpe", "random", "exhaustive", "hawq_v2")
    static = "{name: quantize_static}"
    listed = ", ".join([*(f"{{name: {name}}}" for name in names), static])
    config = write_config(tmp_path, small_model, listed, trials=2)
    (tmp_path / "pipeline.py").write_text(
        PIPELINE + "\n\ndef stored_metrics_func(graph):\n"
        "    return {'nodes': float(len(graph.as_graph_def().node))}\n"
    )
    code, out, err = run("compare", str(config), folder=tmp_path)
    assert code == 0, err
    rows = {strategy["label"]: strategy for strategy in results_of(tmp_path)["strategies"]}
    assert list(rows) == [*names, "quantize_static"]
    # Neural Compressor's own defect, which the note names.
    assert "division by zero" in rows["tpe"]["failure"]
    for name in set(names) - {"tpe", "hawq_v2"}:
        assert rows[name]["failure"] is None, (name, rows[name]["failure"])
        assert rows[name]["trials"], name
        assert all(trial["stored_metrics"]["nodes"] > 1 for trial in rows[name]["trials"]), name
        assert rows[name]["peak_memory_bytes"] > 1 << 20
    assert "PyTorch" in rows["hawq_v2"]["skipped"]
    assert "ONNX" in rows["quantize_static"]["skipped"]
    said = " ".join(out.split())
    assert "evaluates one configuration again and again" in said
    assert "hawq_v2 was skipped" in said
    assert "nodes" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either a CONFIG to run or --from"),
        (["--resume", "x"], "either a CONFIG"),
        (["--from", "nowhere"], "nowhere"),
        (["small.yaml", "--retime"], "--retime is given without --from"),
    ],
)
def test_wrong_use(arguments: list[str], said: str, small_model: Path, tmp_path: Path) -> None:
    write_config(tmp_path, small_model, "{name: basic}")
    code, _, err = run("compare", *arguments, folder=tmp_path)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
