"""Observations of an experiment as CSV and Parquet."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import WRONG_USE
from nc_sigopt_strategy.client.connections import open_connections, open_embedded
from nc_sigopt_strategy.console.export import _titles, observation_rows, write_rows
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import create_experiment
from nc_sigopt_strategy.experiments.record import ExperimentRecord
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.settings.settings import Settings

OP = "MobilenetV1/Conv2d_0/Conv2D"


@pytest.fixture
def store(tmp_path: Path) -> tuple[str, str]:
    """A store's URL and the id of its experiment: one trial measured, one failed."""
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    connections = open_connections(Settings(storage=url), seed=0)
    space = {"parameters": [{"name": "conv", "ops": [[OP, "conv2d"]], "values": ["int8", "fp32"]}]}
    made = create_experiment(
        connections,
        Definition(
            name="export",
            project_id=None,
            parameters={"conv": ("int8", "fp32")},
            accuracy_threshold=0.9,
            maximize_accuracy=True,
            stores_noise=True,
            observation_budget=5,
            record=ExperimentRecord(search_space=space),
        ),
        Worker("me"),
    )
    for number, label in enumerate(("int8", "fp32"), start=1):
        trial = made.suggest(number, assignments={"conv": label}, origin=f"seed: {label}")
        record = TrialRecord(
            number=number,
            state=TrialState.OBSERVED,
            origin=trial.origin,
            assignments=trial.assignments,
            suggestion_id=trial.suggestion_id,
            accuracy=0.95,
            latency_seconds=0.0125,
            latency_stddev=0.00025,
            output_noise=0.01,
            duration_seconds=1.0,
        )
        if number == 1:
            made.observe(record, None)
        else:
            made.observe(
                dataclasses.replace(record, state=TrialState.FAILED, failure="no kernel, sorry")
            )
    connections.local.impl.driver.close()
    return url, made.shown_id


def export(store: tuple[str, str], output: str, experiment_id: str | None = None) -> Any:
    url, known = store
    arguments = ["experiments", "export", experiment_id or known, "--storage", url]
    return CliRunner().invoke(cli, [*arguments, "--output", output])


def test_csv_has_a_row_per_observation(store: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    result = export(store, str(path))
    assert result.exit_code == 0, result.output
    with path.open() as stream:
        measured, failed = csv.DictReader(stream)
    assert measured[f"op:{OP}"] == "int8"
    assert float(measured["metric.latency"]) == 0.0125
    assert float(measured["stddev.latency"]) == 0.00025
    assert measured["failed"] == "False"
    assert failed["failed"] == "True"
    assert failed["metadata.failure"] == "no kernel, sorry"
    assert failed["metric.latency"] == ""


def test_parquet_keeps_numbers_as_numbers(store: tuple[str, str], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "out.parquet"
    path.write_text("an older file")
    result = export(store, str(path))
    assert result.exit_code == 0, result.output
    table = parquet.read_table(path)
    assert table.schema.metadata[b"nc_sigopt_strategy.schema_version"] == b"2"
    measured, failed = table.to_pylist()
    assert measured["metric.accuracy"] == 0.95
    assert measured["observation"] < failed["observation"]
    assert failed["metric.accuracy"] is None
    assert failed["failed"] is True
    assert sorted(p.name for p in tmp_path.iterdir() if "out" in p.name) == ["out.parquet"]


def test_standard_output(store: tuple[str, str]) -> None:
    result = export(store, "-")
    assert result.exit_code == 0
    assert result.output.startswith("observation,suggestion,created,failed")


@pytest.mark.parametrize(
    ("output", "experiment_id", "said"),
    [("out.xlsx", None, "out.xlsx"), ("-", "77", "'77'"), ("/dev/null/a.csv", None, "/dev/null")],
)
def test_wrong_use(
    store: tuple[str, str], output: str, experiment_id: str | None, said: str
) -> None:
    result = export(store, output, experiment_id)
    assert result.exit_code == WRONG_USE
    assert said in result.output


def test_parquet_without_its_extra(
    store: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = export(store, str(tmp_path / "out.parquet"))
    assert result.exit_code == WRONG_USE
    assert "nc_sigopt_strategy[export]" in result.output


def test_names_of_different_kinds_never_share_a_column(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.sqlite3"
    connection = open_embedded(url)
    names = ("m", "failed", "stddev.m", "created", "metadata.note", "op:x", "metric.m")
    made = connection.experiments().create(
        name="=cmd|' /C calc'!A0",
        parameters=[{"name": n, "type": "double", "bounds": {"min": 0, "max": 1}} for n in names],
        metrics=[{"name": "m"}, {"name": "failed", "strategy": "store"}],
    )
    values = [{"name": "m", "value": 7.0, "value_stddev": 0.5}, {"name": "failed", "value": 9.0}]
    connection.experiments(made.id).observations().create(
        assignments=dict.fromkeys(names, 0.125), values=values, metadata={"note": "@SUM(A1)"}
    )
    (row,) = observation_rows(connection, made.id)
    connection.impl.driver.close()
    assert (row["metric.m"], row["stddev.m"], row["metric.failed"]) == (7.0, 0.5, 9.0)
    assert row["failed"] is False
    assert [row[f"parameter.{name}"] for name in names] == [0.125] * len(names)
    assert len(row) == 4 + 3 + len(names) + 1


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-x", "@SUM(A1)", "\tx", "\rx", "＝1+1"])
def test_text_that_looks_like_a_formula_is_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "out.csv"
    write_rows([{text: text, "number": -1.5, "label": "-1e3"}], path)
    with path.open(newline="") as stream:
        header, cells = csv.reader(stream)
    assert header == ["'" + text.replace("\r", "\n"), "number", "label"]
    assert cells == [header[0], "-1.5", "-1e3"]


def test_two_parameters_of_the_same_ops_keep_their_columns() -> None:
    described = [{"name": name, "ops": [["conv", "conv2d"]]} for name in ("weights", "inputs")]
    record = {"record": ExperimentRecord(search_space={"parameters": described}).to_json()}
    connection = SimpleNamespace(
        impl=SimpleNamespace(driver=SimpleNamespace(request=lambda *_: record))
    )
    assert _titles(connection, "1") == {}
