"""The JSON schema of run configurations agrees with what reads them, whatever a file says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_sigopt_benchmarks.commands.schema import schema as schema_command
from nc_sigopt_benchmarks.config.mistakes import checked
from nc_sigopt_benchmarks.config.places import Places
from nc_sigopt_benchmarks.config.schema import config_schema, declared
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_strategy.errors import ConfigFileError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SCHEMA = config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SECTIONS = {"": SCHEMA, **SCHEMA["$defs"]}


def section_keys() -> dict[str, list[str]]:
    """Keys of the file and, by the key of its section, those of each section."""
    keys = {"": list(SCHEMA["properties"])}
    for name in SCHEMA["properties"]:
        part = declared([name])
        part = declared([name, 0]) if part.get("type") == "array" else part
        if "properties" in part:
            keys[name] = list(part["properties"])
    return keys


KEYS = section_keys()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(
        ["10m", "1h30m", "1%", "50 %", "yes", "off", "True", "5", "0.5", " ", "a\0b", "~", "../x",
         "~nobody-here/x", "sigopt", "basic", "onnx", "path", "net.pb", "relative", 0, 1, 20, 0.01,
         2**31, 2**32, 2**70, 10**400, -1, 1.0, float("nan"), float("inf")]
    ),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS["model"], "timeout", "x:y"]) | SCALARS, inner)
    ),
    max_leaves=6,
)


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Files that have the keys of one, with anything under them."""
    text: dict[str, Any] = {"strategies": [{"name": "basic"}]}
    for section in draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=3)):
        for key in draw(st.lists(st.sampled_from([*KEYS[section], "unknown"]), max_size=3)):
            value = draw(VALUES)
            if section == "":
                text[key] = value
            elif section == "strategies" and isinstance(text.get("strategies"), list):
                text["strategies"] = [{"name": "basic", key: value}]
            elif isinstance(text.setdefault(section, {}), dict):
                text[section][key] = value
    return text


@settings(max_examples=300, deadline=None)
@given(values=files())
def test_what_is_read_fits_the_schema(values: dict[str, Any]) -> None:
    try:
        checked(values, Places(Path("run.yaml"), {}))
    except ConfigFileError as error:
        said = str(error)
    else:
        assert not list(VALIDATOR.iter_errors(values))
        return
    assert re.match(r"run\.yaml, line 1: \S.* is .+\.", said, re.DOTALL)
    assert len(said) < 1000


@settings(max_examples=150, deadline=None)
@given(values=files())
def test_any_file_is_read_or_refused_in_one_sentence(
    values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    try:
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    except yaml.YAMLError:
        return
    try:
        config = read_config(path)
    except ConfigFileError as error:
        said = str(error)
    else:
        json.dumps(config.to_json())
        return
    assert str(path) in said


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_takes_every_shipped_configuration(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_every_key_of_the_schema_is_described() -> None:
    for name, section in SECTIONS.items():
        assert section["description"], name
        for key, said in section["properties"].items():
            assert len(said["description"]) > 10, (name, key)
            assert said.get("default", "") is not None


def test_the_command_writes_what_editors_read(tmp_path: Path) -> None:
    printed = CliRunner().invoke(schema_command, [])
    assert json.loads(printed.output) == SCHEMA
    path = tmp_path / "nc.json"
    written = CliRunner().invoke(schema_command, ["--output", str(path)])
    assert json.loads(path.read_text()) == SCHEMA
    assert "# yaml-language-server: $schema=nc.json" in written.output
    nowhere = CliRunner().invoke(schema_command, ["--output", str(path / "nc.json")])
    assert nowhere.exit_code == 2


KINDS = {
    "tuning: {timeout: 10m}": "tuning.timeout is '10m' (text). It must be a whole number. "
    "It is in seconds: write 600.",
    "tuning: {timeout: '90'}": "Write 90, without quotes.",
    "tuning: {max_trials: 10m}": "is '10m' (text). It must be a whole number.",
    "tuning: {timeout: true}": "is true (true or false). It must be a whole number.",
    "tuning: {timeout: }": "tuning.timeout is empty. It must be a whole number.",
    "tuning: {timeout: [1]}": "is a list. It must be a whole number.",
    "tuning: {timeout: 2001-01-01}": "(date). It must be a whole number.",
    "tuning: {seed: 0xffffffffff}": "The most that can be is 4294967295.",
    "tuning: {timeout:10}": "tuning.timeout:... is not a known key. A space belongs",
    "tuning: {1: 2}": "tuning.1 is not a known key.",
    "tuning: {shuffle: yes}": "Write true, without quotes.",
    "tuning: {shuffle: 'False'}": "Write false, without quotes.",
    "tuning: {shuffle: 1}": "is 1 (a number). It must be true or false.",
    "accuracy_criterion: {tolerable_loss: 1%}": "Write 0.01, without quotes.",
    "accuracy_criterion: {tolerable_loss: '0.02'}": "Write 0.02, without quotes.",
    "timing: {trial_seconds: 1h}": "It is in seconds: write 3600.",
    "model: {inputs: x}": "model.inputs is text. It must be a list.",
    "model: {inputs: [[x]]}": "model.inputs.0 is a list. It must be text.",
    "model: {inputs: [1]}": "model.inputs.0 is 1 (a number). It must be text.",
    "model: {path: }": "model.path is empty. It must be text.",
    'model: {path: "a\\0b"}': "no path holds a null character",
    "model: {path: ~nobody-here/x.onnx}": "home directory. Name another path.",
    "tuning: &t {seed: 1, seeed: 2}": "Did you mean 'seed'?",
}


@pytest.mark.parametrize("text", KINDS)
def test_kinds_of_mistakes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"strategies: [{{name: basic}}]\n\n{text}\n")
    with pytest.raises(ConfigFileError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert KINDS[text] in str(caught.value)


def test_values_by_anchors_and_merges_are_checked_as_written_out(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        "strategies:\n- &one {name: basic, timeout: 5}\n- {<<: *one, label: again}\n"
        "- {<<: *one, label: other, timeout: 6}\n"
    )
    assert [s.timeout for s in read_config(path).strategies] == [5, 5, 6]
    path.write_text("strategies:\n- &one {name: basic}\n- {<<: *one, label: x, timeout: -1}\n")
    with pytest.raises(ConfigFileError, match=r"line 3: strategies\.1\.timeout is -1"):
        read_config(path)


def test_pydantic_is_imported_when_a_file_is_read() -> None:
    code = (
        "import sys, nc_sigopt_strategy.cli.main, nc_sigopt_benchmarks.commands.compare\n"
        "print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
