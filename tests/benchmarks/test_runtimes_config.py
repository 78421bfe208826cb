"""Comparisons across runtimes: what a configuration of one may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from nc_sigopt_benchmarks.config.rivals import RIVALS
from nc_sigopt_benchmarks.config.run_config import RunConfig
from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.running.rivals.worker import builder
from nc_sigopt_strategy.errors import ConfigFileError


def read(text: str, folder: Path) -> RunConfig:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_a_comparison_in_one_framework_is_as_ever(tmp_path: Path) -> None:
    assert not read("strategies: [{name: sigopt}]", tmp_path).across_runtimes


def test_the_reference_is_the_first_fp32_model_unless_named(tmp_path: Path) -> None:
    listed = "strategies: [{name: nncf_quantize}, {name: openvino_fp32}, {name: onnxruntime_fp32}]"
    config = read(listed, tmp_path)
    assert config.across_runtimes
    assert config.reference.label == "openvino_fp32"
    assert config.deployment.latency_batch_sizes == (20, 1)
    named = f"{listed}\ndeployment: {{reference: onnxruntime_fp32, latency_batch_sizes: [4]}}"
    config = read(named, tmp_path)
    assert config.reference.label == "onnxruntime_fp32"
    assert config.deployment.latency_batch_sizes == (4,)
    assert RunConfig.from_json(config.to_json()).reference == config.reference


def test_hosts_and_environments(tmp_path: Path) -> None:
    config = read(
        "strategies:\n- {name: openvino_fp32, environment: env/bin/python}\n"
        "- {name: sigopt, label: ours, host: onnxruntime}\n- {name: sigopt, host: inc}\n",
        tmp_path,
    )
    assert config.strategies[0].environment == tmp_path / "env/bin/python"
    assert [s.runtime for s in config.strategies] == ["openvino", "onnxruntime", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategies: [{name: nncf_quantize}]", r"strategies have no FP32 model.*tensorflow_fp32"),
        ("strategies: [{name: sigopt, host: openvino}]", r"have no FP32 model"),
        (
            "strategies: [{name: openvino_fp32}]\ndeployment: {reference: openvino}",
            r"line 2: deployment.reference is 'openvino', which is none.*openvino_fp32",
        ),
        ("strategies: [{name: sigopt}]\ndeployment: {threads: 2}", r"there is one framework"),
        ("strategies: [{name: basic, host: inc}]", r"strategies.0.host is given to 'basic'"),
        (
            "strategies: [{name: sigopt, environment: x}]",
            r"strategies.0.environment is given to 'sigopt'",
        ),
        (
            "strategies: [{name: openvino_fp32}, {name: nncf_quantize, "
            "strategy_kwargs: {preset: mix}}]",
            r"strategies.1.strategy_kwargs.preset cannot .* nncf_quantize: preset is 'mix'.*mixed",
        ),
        (
            "strategies: [{name: openvino_fp32, strategy_kwargs: {presett: mixed}}]",
            r"openvino_fp32 has no setting 'presett'.*It has none at all",
        ),
        ("strategies: [{name: sigopt, host: openvin}]", r"host is 'openvin'.*Did you mean"),
        (
            "strategies: [{name: openvino_fp32}]\ndeployment: {latency_batch_sizes: []}",
            r"latency_batch_sizes is an empty list",
        ),
        (
            "strategies: [{name: openvino_fp32}]\ndeployment: {latency_batch_sizes: [0]}",
            r"latency_batch_sizes.0 is 0",
        ),
    ],
)
def test_mistakes(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=message):
        read(text, tmp_path)


# Of what this environment may lack, "make smoke-inc3" and the tests of OpenVINO make models.
ELSEWHERE = {"openvino", "neural_compressor"}


@pytest.mark.parametrize("name", [n for n, r in RIVALS.items() if not ELSEWHERE & {*r.modules}])
def test_every_rival_has_a_builder(name: str) -> None:
    assert callable(builder(name))
