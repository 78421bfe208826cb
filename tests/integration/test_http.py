"""With a token: the real client, over a real socket, against the engine behind it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_strategy.client.connections import open_embedded, open_http
from nc_sigopt_strategy.client.projects import ensure_project
from nc_sigopt_strategy.client.sigopt_client import failed_status_rate_limit
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.api_error import ApiError
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.opening import create_on, join_on
from nc_sigopt_strategy.results.run_files import read_trials
from nc_sigopt_strategy.settings.settings import Settings
from tests.conftest import logged
from tests.engine.http_server import serve_driver
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

TOKEN = "SECRETSECRETSECRET0123456789"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """strategy_kwargs that lead to a server which has the project."""
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.sqlite3")
    _shift_the_ids()
    with serve_driver(driver, token=TOKEN) as url:
        kwargs = {"sigopt_api_token": TOKEN, "sigopt_api_url": url, "sigopt_project_id": "int8"}
        driver.request("POST", ["clients", "1", "projects"], {"id": "int8", "name": "int8"}, None)
        yield kwargs
    driver.close()
    failed_status_rate_limit.clear()


def _shift_the_ids() -> None:
    """Make the local store count on, so that its ids are not by chance the server's."""
    ensure_project(open_embedded(), "other")
    for _ in range(3):
        create_on(
            open_embedded(), Definition("other", "other", {"a": ("x", "y")}, 0.5, True, False, 5)
        )


def _on_server(kwargs: dict[str, Any], experiment_id: str) -> Experiment:
    return join_on(open_http(TOKEN, Settings.from_kwargs(kwargs)), experiment_id)


def test_server_records_every_trial(
    tmp_path: Path, server: dict[str, Any], small_model: Path, small_loader: Any,
    small_accuracy: Any,
) -> None:  # fmt: skip
    calls = []

    def one_failure(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no")
        return float(small_accuracy(graph))

    conf = configure(tmp_path, server, max_trials=4)
    assert fit(small_model, conf, small_loader, one_failure) is not None
    found = outcome()
    assert found.experiment_id is not None
    remote = [record for record, _ in _on_server(server, found.experiment_id).trials()]
    local = read_trials(tmp_path / "run")
    assert [r.assignments for r in remote] == [t.assignments for t in local]
    assert [r.latency_seconds for r in remote] == [t.latency_seconds for t in local]
    assert [r.latency_stddev for r in remote] == [t.latency_stddev for t in local]
    assert [r.state for r in remote] == [t.state for t in local]
    assert _on_server(server, found.experiment_id).open_suggestions() == []


def test_continues_by_the_servers_id(
    tmp_path: Path, server: dict[str, Any], small_model: Path, small_loader: Any,
    small_accuracy: Any,
) -> None:  # fmt: skip
    fit(small_model, configure(tmp_path, server, max_trials=2), small_loader, small_accuracy)
    known = outcome().experiment_id
    assert known is not None
    conf = configure(tmp_path, {**server, "sigopt_experiment_id": known}, max_trials=4)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().experiment_id == known
    assert len(_on_server(server, known).trials()) == 4


def test_tuning_goes_on_when_the_server_is_out_of_order(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nc_sigopt_strategy.hosts.inc.registration.logger.propagate", True)
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.sqlite3")
    driver.request("POST", ["clients", "1", "projects"], {"id": "int8", "name": "int8"}, None)
    answer = driver.answer
    calls = []

    def breaks_the_server(graph: Any) -> float:
        calls.append(1)
        if len(calls) == 3:
            monkeypatch.setattr(driver, "answer", _out_of_order)
        return float(small_accuracy(graph))

    with serve_driver(driver, token=TOKEN) as url:
        kwargs = {"sigopt_api_token": TOKEN, "sigopt_api_url": url, "sigopt_project_id": "int8"}
        conf = configure(tmp_path, kwargs, max_trials=8)
        assert fit(small_model, conf, small_loader, breaks_the_server) is not None
        local = read_trials(tmp_path / "run")
        assert len(local) == 8
        monkeypatch.setattr(driver, "answer", answer)
        failed_status_rate_limit.clear()
        known = outcome().experiment_id
        assert known is not None
        assert len(_on_server(kwargs, known).trials()) == 1
        warned = logged(caplog)
        assert sum("Tuning goes on" in message for message in warned) == 1
        assert sum("has missed 7 trials" in message for message in warned) == 1
        # Continued, with the budget spent: all that happens is that the server is told.
        again = configure(tmp_path, {**kwargs, "sigopt_experiment_id": known}, max_trials=8)
        fit(small_model, again, small_loader, small_accuracy)
        remote = [record for record, _ in _on_server(kwargs, known).trials()]
        assert [r.latency_seconds for r in remote] == [t.latency_seconds for t in local]


def test_token_with_another_quant_level_is_kept_secret_too(
    tmp_path: Path, server: dict[str, Any], small_model: Path, small_loader: Any,
    small_accuracy: Any, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    conf = configure(tmp_path, server, quant_level=0, loss=0.99)
    fit(small_model, conf, small_loader, small_accuracy)
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path


def test_token_is_in_no_file_and_no_log(
    tmp_path: Path, server: dict[str, Any], small_model: Path, small_loader: Any,
    small_accuracy: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import logging

    monkeypatch.setattr(logging.getLogger("neural_compressor"), "propagate", True)
    conf = configure(tmp_path, server, max_trials=2)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    printed = capfd.readouterr()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "strategy_kwargs" in logged, "INC's dump of the configuration should be in the log"
    assert TOKEN not in logged + printed.out + printed.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"history.snapshot", "deploy.yaml", "trials.jsonl", "outcome.json"} <= names
    for path in files:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN.encode() not in pickle.dumps(conf)
    assert TOKEN not in repr(conf.tuning_criterion.strategy_kwargs)


def _out_of_order(*args: Any) -> Any:
    raise ApiError(503, "out of order")


def test_a_front_and_metrics_of_the_user_are_recorded(
    tmp_path: Path, server: dict[str, Any], small_model: Path, small_loader: Any,
    small_accuracy: Any,
) -> None:  # fmt: skip
    def stored(graph: Any) -> dict[str, float]:
        return {"nodes": len(graph.as_graph_def().node)}

    kwargs = {**server, "goal": "pareto", "stored_metrics_func": stored, "latency_repeats": 4}
    assert fit(small_model, configure(tmp_path, kwargs, max_trials=3), small_loader,
               small_accuracy) is not None  # fmt: skip
    found = outcome()
    assert found.experiment_id is not None
    remote = _on_server(server, found.experiment_id)
    assert [r.stored_metrics for r, _ in remote.trials()] == [
        t.stored_metrics for t in read_trials(tmp_path / "run")
    ]
    again = {**kwargs, "sigopt_experiment_id": found.experiment_id}
    fit(small_model, configure(tmp_path, again, max_trials=4), small_loader, small_accuracy)
    assert outcome().trials == 4
    assert all(t.meets_bound is not None for t in outcome().front)
