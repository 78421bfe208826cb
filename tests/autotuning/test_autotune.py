"""``autotune``: what is refused at once, and what a result says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nc_sigopt_strategy as ncs
from nc_sigopt_strategy.autotuning import autotune as module
from nc_sigopt_strategy.autotuning.request import Place
from nc_sigopt_strategy.autotuning.result import TuningResult, result_of
from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError, SettingsError
from nc_sigopt_strategy.hosts import find
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.autotuning.fakes import FakeRunners, accuracy, known


class Loader:
    batch_size = 2

    def __iter__(self) -> Any:
        return iter([([[1.0]], [0])])


def asked(folder: Path, **more: Any) -> Any:
    """``autotune`` of an empty ONNX file, which nobody gets to read."""
    path = folder / "net.onnx"
    path.touch()
    wanted = {"eval_fn": accuracy, "calib_dataloader": Loader(), "host": "onnxruntime", **more}
    return ncs.autotune(wanted.pop("model", path), **wanted)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"eval_fn": "accuracy"}, r"eval_fn must be a function, but is 'accuracy' \(str\)"),
        ({"eval_fn": None}, r"eval_fn must be a function"),
        ({"tolerable_loss": 1}, r"tolerable_loss is 1, .*such as 0\.01"),
        ({"tolerable_loss": "1%"}, r"tolerable_loss must be a number, but is '1%'"),
        ({"host": "onnx"}, r"no host 'onnx'\. Did you mean 'onnxruntime'"),
        ({"host": "OpenVINO"}, r"no host 'OpenVINO'\. Did you mean 'openvino'"),
        ({"max_trials": 0}, r"max_trials must be a whole number of at least 1, but is 0"),
        ({"max_trials": 2.5}, r"max_trials must be a whole number"),
        ({"timeout": "10m"}, r"timeout must be a number of seconds .* ten minutes are 600"),
        ({"timeout": -1}, r"timeout must be a number of seconds"),
        ({"serch_space": "full"}, r"Did you mean 'search_space'"),
        ({"settings": {"seed": 1}, "seed": 2}, r"seed is given as a keyword and in settings"),
        ({"settings": "full"}, r"settings must be a dict"),
        ({"relative": "yes"}, r"relative must be True or False"),
        ({"higher_is_better": 1}, r"higher_is_better must be True or False"),
        ({"calibration_sampling_size": 0}, r"sampling size must be a whole number"),
        ({"inputs": 3}, r"inputs must be a list of names"),
        ({"calib_dataloader": None}, r"There is no data"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, more: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("onnxruntime")
    with pytest.raises(SettingsError, match=said):
        asked(tmp_path, **more)


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model"):
        asked(tmp_path, model=tmp_path / "other.onnx")
    (tmp_path / "net.xml").touch()
    with pytest.raises(ModelError, match="does not read a model in OpenVINO's IR"):
        asked(tmp_path, model=str(tmp_path / "net.xml"))
    with pytest.raises(ModelError, match="is no model that can be tuned"):
        asked(tmp_path, model={"net": 1})


def test_a_host_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = find.KnownHost("gone", "Gone", (find.ONNX,), ("no_such_package",), "gone")
    monkeypatch.setattr(find, "_KNOWN", (gone,))
    with pytest.raises(MissingExtraError, match=r"pip install 'nc_sigopt_strategy\[gone\]'"):
        asked(tmp_path, host="gone")
    with pytest.raises(MissingExtraError, match=r"None of the runtimes is installed"):
        asked(tmp_path, host="auto")


def run(folder: Path, evaluate: Any = accuracy, **more: Any) -> TuningResult:
    runners = FakeRunners({"fake": 1.0})
    request = runners.request(evaluate, **more)
    place = Place(folder / "run", {"storage": f"sqlite:///{folder / 'store.sqlite3'}"})
    return result_of(runners.make(known("fake"), request).run(request.budget, place))


def test_a_result_says_what_came_of_it(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.found
    assert result.runtime == "fake"
    assert result.model == result.own_model
    assert result.outcome == read_outcome(tmp_path / "run")
    said = repr(result)
    assert said.startswith("TuningResult(fake: ")
    assert "times FP32's speed" in said
    assert f"(bound {result.outcome.accuracy_target:.4f})" in said
    assert str(tmp_path / "run") in said


def test_saving_leaves_recipe_outcome_and_report_beside_the_model(tmp_path: Path) -> None:
    result = run(tmp_path)
    path = result.save(tmp_path / "out" / "best.v2")
    assert path == tmp_path / "out" / "best.v2.json"
    assert path.stat().st_size > 0
    recipe = json.loads((path.parent / "recipe.json").read_text())
    assert recipe == json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert read_outcome(path.parent) == result.outcome
    assert "accuracy bound" in (path.parent / "report.txt").read_text()


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be saved as"):
        run(tmp_path).save(tmp_path / "file" / "best.json")


def test_nothing_found_is_one_clear_error_when_it_is_saved(tmp_path: Path) -> None:
    calls: list[int] = []

    def evaluate(model: Any) -> float:
        calls.append(1)
        return 0.9 if len(calls) == 1 else 0.1

    result = run(tmp_path, evaluate, max_trials=5)
    assert not result.found
    assert result.model is None
    assert "nothing found on fake" in repr(result)
    with pytest.raises(ModelError, match=r"There is no model to save: No model met the bound"):
        result.save(tmp_path / "best")
    assert not list(tmp_path.glob("best*"))


def test_fp32_that_wins_is_saved_and_said_to_be_fp32(tmp_path: Path) -> None:
    def evaluate(model: Any) -> float:
        return 0.9 if model.noise == 0 else 0.0

    result = run(tmp_path, evaluate, max_trials=8)
    assert result.found
    assert "nothing faster than FP32 met the bound" in repr(result)
    assert result.save(tmp_path / "best").stat().st_size > 0


def test_the_wrong_kind_of_options_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path)
    with pytest.raises(SettingsError, match=r"session_options\(\) is for ONNX Runtime"):
        result.session_options()
    with pytest.raises(SettingsError, match=r"properties\(\) is for OpenVINO"):
        result.properties()


def test_what_the_evaluation_of_fp32_raises_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = FakeRunners({"onnxruntime": 1.0})
    monkeypatch.setattr(
        module, "runner_for", lambda host, request: runners.make(known("onnxruntime"), request)
    )

    def evaluate(model: Any) -> float:
        raise KeyError("labels")

    store = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    where = {"output_dir": tmp_path / "run", "storage": store, "progress": False}
    with pytest.raises(KeyError, match="labels"):
        asked(tmp_path, eval_fn=evaluate, **where)
    with pytest.raises(DataError, match="mine"):
        asked(tmp_path, eval_fn=_raising(DataError("mine")), **where)


def _raising(error: Exception) -> Any:
    def evaluate(model: Any) -> float:
        raise error

    return evaluate


def test_runs_go_into_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = FakeRunners({"onnxruntime": 1.0})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        module, "runner_for", lambda host, request: runners.make(known("onnxruntime"), request)
    )
    store = f"sqlite:///{tmp_path / 'store.sqlite3'}"
    more = {"storage": store, "progress": False, "max_trials": 3, "latency_repeats": 4}
    one, other = asked(tmp_path, **more), asked(tmp_path, **more)
    assert one.folder.parent == other.folder.parent == tmp_path / "runs"
    assert one.folder != other.folder
    assert one.folder.name.startswith("net-")
