"""Run configurations: what they give, and what a mistake in one is told."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

import pytest

from nc_sigopt_benchmarks.config.run_config import CriterionConfig, RunConfig, StrategyConfig
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_strategy.errors import ConfigFileError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OWN_MODEL = """\
model:
  source: path
  path: net.pb
  inputs: [x]
  outputs: [y]
data:
  python: pipeline.py
strategies: [{name: sigopt}]
"""


def read(text: str, folder: Path) -> RunConfig:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_configuration_is_valid(path: Path) -> None:
    config = read_config(path)
    assert config.name == path.stem
    assert config.strategies


def test_only_strategies_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("strategies:\n  - name: sigopt\n")
    config = read_config(path)
    assert config.name == "mine"
    assert config.model.source == "auto"
    assert config.strategies[0].label == "sigopt"
    assert config.tuning.timeout == 130


def test_own_paths_start_at_the_config_file(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(OWN_MODEL)
    config = read_config(path)
    assert config.model.path == tmp_path.resolve() / "net.pb"
    assert config.data.python == tmp_path.resolve() / "pipeline.py"
    assert config.model.inputs == ("x",)


def test_timeout_zero_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("tuning: {timeout: 0}\nstrategies: [{name: basic}]\n")
    assert read_config(path).tuning.timeout == 0


def test_a_token_is_not_in_the_record(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "strategies: [{name: sigopt, strategy_kwargs: {sigopt_api_token: TOPSECRET, seed: 1}}]\n"
    )
    config = read_config(path)
    assert config.strategies[0].strategy_kwargs["sigopt_api_token"] == "TOPSECRET"
    record = config.to_json()
    assert "TOPSECRET" not in str(record)
    assert record["strategies"][0]["strategy_kwargs"]["seed"] == 1


URLS = {
    "postgresql://me:TOPSECRET@db/x": "postgresql://***@db/x",
    "postgresql://me:TOP@SECRET/X@db/x": "postgresql://***@db/x",
    "https://host/path?user=me&Password=TOPSECRET&n=1": "https://host/path?user=me&Password=***&n=1",
    "https://host?api_token=TOPSECRET": "https://host?api_token=***",
    "sqlite:////data/a@b/store.db": "sqlite:////data/a@b/store.db",
}


@pytest.mark.parametrize("url", URLS)
def test_credentials_in_a_url_are_not_in_the_record(url: str) -> None:
    strategy = StrategyConfig("sigopt", "sigopt", {"storage": url, "locked_ops": {"x": url}})
    record = RunConfig((strategy,), path=Path("run.yaml")).to_json()
    kwargs = record["strategies"][0]["strategy_kwargs"]
    assert kwargs == {"storage": URLS[url], "locked_ops": {"x": URLS[url]}}


HIDING = {
    "key twice": "strategies:\n- name: sigopt\n  strategy_kwargs:\n"
    "    sigopt_api_token: TOPSECRET\n    sigopt_api_token: TOPSECRET2\n",
    "text for a mapping": "strategies:\n- name: sigopt\n"
    "  strategy_kwargs:\n    sigopt_api_token:TOPSECRET\n",
    "text in a flow mapping": "strategies:\n- name: sigopt\n"
    "  strategy_kwargs: {sigopt_api_token:TOPSECRET}\n",
    "beside a strategy's name": "strategies:\n- {name: sigopt, sigopt_api_token:TOPSECRET}\n",
    "in the place of a name": "strategies:\n- {name: {sigopt_api_token: TOPSECRET}}\n",
    "as a list": "strategies:\n- {name: sigopt, label: [{sigopt_api_token: TOPSECRET}]}\n",
    "the whole file": "sigopt_api_token:TOPSECRET\n",
    "in the place of a strategy": "strategies:\n- sigopt_api_token:TOPSECRET\n",
    "a token of a wrong type": "strategies:\n- name: sigopt\n"
    "  strategy_kwargs: {sigopt_api_token: [TOPSECRET]}\n",
    "a strategy that takes none": "strategies:\n- name: basic\n"
    "  strategy_kwargs: {sigopt_api_token: TOPSECRET}\n",
}


@pytest.mark.parametrize("name", HIDING)
def test_no_complaint_shows_a_token(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(HIDING[name], tmp_path)
    shown = "".join(traceback.format_exception(caught.value))
    assert "TOPSECRET" not in shown
    if name == "key twice":
        assert "line 5: not valid YAML: the key 'sigopt_api_token' is there twice" in shown


def test_a_whole_number_is_taken_for_a_float(tmp_path: Path) -> None:
    config = read("strategies: [{name: basic}]\ntiming: {trial_seconds: 5}\n", tmp_path)
    assert isinstance(config.timing.trial_seconds, float)


@dataclass(frozen=True)
class Mistake:
    name: str
    text: str
    line: int
    key: str
    says: tuple[str, ...]


MISTAKES = [
    Mistake(
        "unknown key",
        "strategies: [{name: basic}]\ntuning:\n  max_trails: 3\n",
        3,
        "tuning.max_trails",
        ("not a known key", "Did you mean 'max_trials'?"),
    ),
    Mistake(
        "unknown key at the top",
        "strategy: []\nstrategies: [{name: basic}]\n",
        1,
        "strategy",
        ("Did you mean 'strategies'?",),
    ),
    Mistake(
        "wrong type",
        "strategies: [{name: basic}]\ntuning:\n  timeout: soon\n",
        3,
        "tuning.timeout",
        ("'soon' (text)", "whole number"),
    ),
    Mistake(
        "negative",
        "strategies: [{name: basic}]\ntuning:\n  max_trials: 0\n",
        3,
        "tuning.max_trials",
        ("0 (a number)", "least that makes sense is 1"),
    ),
    Mistake(
        "unknown strategy",
        "strategies:\n  - name: basic\n  - name: sigot\n",
        3,
        "strategies.1.name",
        ("'sigot' (text)", "Did you mean 'sigopt'?"),
    ),
    Mistake(
        "a float for a whole number",
        "strategies: [{name: basic}]\ntuning:\n  timeout: 130.0\n",
        3,
        "tuning.timeout",
        ("130.0 (a number)", "whole number"),
    ),
    Mistake(
        "not a number",
        "strategies: [{name: basic}]\naccuracy_criterion:\n  tolerable_loss: .nan\n",
        3,
        "accuracy_criterion.tolerable_loss",
        ("finite number",),
    ),
    Mistake(
        "infinite",
        "strategies: [{name: basic}]\ntiming:\n  trial_seconds: .inf\n",
        3,
        "timing.trial_seconds",
        ("finite number",),
    ),
    Mistake(
        "a setting of sigopt's for another strategy",
        "strategies:\n- name: basic\n  strategy_kwargs:\n    storage: sqlite:///x.db\n",
        4,
        "strategies.0.strategy_kwargs.storage",
        ("'basic'", "Only the sigopt strategy"),
    ),
    Mistake(
        "a run folder of one's own",
        "strategies:\n- name: sigopt\n  strategy_kwargs:\n    seed: 1\n    output_dir: x\n",
        5,
        "strategies.0.strategy_kwargs.output_dir",
        ("nc-sigopt itself",),
    ),
    Mistake(
        "a progress bar of one's own",
        "strategies:\n- name: sigopt\n  strategy_kwargs: {progress: true}\n",
        3,
        "strategies.0.strategy_kwargs.progress",
        ("nc-sigopt itself",),
    ),
    Mistake(
        "a setting that is out of range",
        "strategies:\n- name: basic\n- name: sigopt\n  strategy_kwargs: {finalists: 0}\n",
        4,
        "strategies.1.strategy_kwargs.finalists",
        ("finalists must be a whole number of at least 1",),
    ),
    Mistake(
        "an experiment without its store",
        "strategies:\n- name: sigopt\n  strategy_kwargs: {sigopt_experiment_id: 7}\n",
        3,
        "strategies.0.strategy_kwargs.sigopt_experiment_id",
        ("without the store", "Add storage"),
    ),
    Mistake("no strategies", "name: x\n", 1, "strategies", ("is missing", "configs/demo.yaml")),
    Mistake("empty list", "strategies: []\n", 1, "strategies", ("an empty list",)),
    Mistake(
        "same strategy twice",
        "strategies:\n  - name: basic\n  - name: basic\n",
        3,
        "strategies.1",
        ("'basic'", "label"),
    ),
    Mistake(
        "reserved label",
        "strategies:\n  - name: basic\n    label: fp32\n",
        3,
        "strategies.0.label",
        ("'fp32'",),
    ),
    Mistake(
        "calibration of sigopt beside its settings",
        "strategies:\n  - name: sigopt\n    calibration: exact\n",
        3,
        "strategies.0.calibration",
        ("is given to sigopt", "strategy_kwargs"),
    ),
    Mistake(
        "unknown calibration",
        "strategies:\n  - name: basic\n    calibration: once\n",
        3,
        "strategies.0.calibration",
        ("'once'", "exact"),
    ),
    Mistake(
        "label that is no folder name",
        "strategies:\n  - name: basic\n    label: ../x\n",
        3,
        "strategies.0.label",
        ("'../x'", "folder"),
    ),
    Mistake(
        "own model without a path",
        OWN_MODEL.replace("  path: net.pb\n", ""),
        1,
        "model.path",
        ("is missing", "file or the folder"),
    ),
    Mistake(
        "own model without a pipeline",
        OWN_MODEL.replace("data:\n  python: pipeline.py\n", ""),
        1,
        "data.source",
        ("'path'", "imagenet or imagenette", "data.python"),
    ),
    Mistake(
        "frozen graph without its ends",
        OWN_MODEL.replace("  outputs: [y]\n", ""),
        1,
        "model.outputs",
        ("is missing", "does not say"),
    ),
    Mistake(
        "data twice",
        OWN_MODEL.replace("python: pipeline.py", "python: pipeline.py\n  source: digits"),
        8,
        "data.source",
        ("beside data.python",),
    ),
    Mistake(
        "held-out images of data that is not ours",
        OWN_MODEL.replace("python: pipeline.py", "python: pipeline.py\n  held_out_images: 5"),
        8,
        "data.held_out_images",
        ("beside data.python",),
    ),
    Mistake(
        "ImageNet without a folder",
        "data:\n  source: imagenet\nstrategies: [{name: sigopt}]\n",
        1,
        "data.path",
        ("is missing", "account"),
    ),
    Mistake(
        "a folder for digits",
        "data:\n  source: digits\n  path: x\nstrategies: [{name: sigopt}]\n",
        3,
        "data.path",
        ("'digits'",),
    ),
    Mistake(
        "session options without ONNX",
        "model:\n  session: {intra_op_num_threads: 1}\nstrategies: [{name: sigopt}]\n",
        2,
        "model.session",
        ("TensorFlow", "onnx"),
    ),
    Mistake(
        "unknown quantization format",
        "model:\n  format: onnx\n  quant_format: qdq\nstrategies: [{name: sigopt}]\n",
        3,
        "model.quant_format",
        ("'qdq'", "QDQ"),
    ),
    Mistake(
        "path without the source path",
        OWN_MODEL.replace("source: path", "source: digits"),
        3,
        "model.path",
        ("'digits'",),
    ),
    Mistake(
        "one per cent written as 1",
        "strategies: [{name: basic}]\naccuracy_criterion:\n  tolerable_loss: 1\n",
        3,
        "accuracy_criterion.tolerable_loss",
        ("0.01 for one per cent",),
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_named_with_file_key_and_line(mistake: Mistake, tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(mistake.text, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'run.yaml'}, line {mistake.line}: {mistake.key} ")
    for part in mistake.says:
        assert part in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("strategies: [\n", ("line 2", "not valid YAML")),
        ("a: 1\na: 2\n", ("line 2", "not valid YAML")),
        ("- a\n", ("a list", "not a mapping")),
        ("", ("is empty.", "configs/demo.yaml")),
    ],
    ids=["open bracket", "key twice", "a list", "nothing"],
)
def test_a_file_that_is_no_mapping(text: str, says: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(text, tmp_path)
    for part in says:
        assert part in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"nowhere\.yaml cannot be read.*configs/"):
        read_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("criterion", "accuracy", "met"),
    [
        (CriterionConfig(tolerable_loss=0.01), 0.9 * 0.99, True),
        (CriterionConfig(tolerable_loss=0.01), 0.8909, False),
        (CriterionConfig("absolute", 0.1), 0.8, True),
        (CriterionConfig("absolute", 0.1), 0.79, False),
        (CriterionConfig(higher_is_better=False), 0.9 * 1.01, True),
        (CriterionConfig(higher_is_better=False), 0.91, False),
        (CriterionConfig(tolerable_loss=0.0), 0.9, True),
    ],
)
def test_equality_meets_the_bound(criterion: CriterionConfig, accuracy: float, met: bool) -> None:
    assert criterion.met(accuracy, 0.9) is met


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: " + "[" * 5000 + "]" * 5000, "nested too deep", id="5,000 levels"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "40 levels", id="60 levels"),
        pytest.param("a: " + "9" * 5000, "5000 digits", id="5,000 digits"),
        pytest.param("a: 2020-13-45", "month", id="a 13th month"),
        pytest.param(
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{key}: &{key} [{', '.join([f'*{last}'] * 10)}]\n"
                for last, key in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "100000 values",
            id="a billion values by aliases",
        ),
    ],
)
def test_a_file_that_is_meant_to_break_the_reader(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match=says) as refused:
        read_config(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 500
