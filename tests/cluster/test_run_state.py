"""What a driver on Ray keeps, hands over and refuses, without a cluster."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.config.run_config import RunConfig, StrategyConfig
from nc_sigopt_benchmarks.running.config_job import ConfigJob
from nc_sigopt_strategy.cluster.calibration_files import read_files, write_missing
from nc_sigopt_strategy.cluster.cluster import Cluster, Node, connected
from nc_sigopt_strategy.cluster.command import RayOptions, _storage, tune_on_ray
from nc_sigopt_strategy.cluster.environment import without_ray
from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.cluster.handover import (
    STORAGE_VARIABLE,
    TOKEN_VARIABLE,
    Handover,
    handover_for,
)
from nc_sigopt_strategy.cluster.requests import WorkerRequest, WorkerStatus
from nc_sigopt_strategy.cluster.run_state import STATE_FILE, RunState, Standing
from nc_sigopt_strategy.cluster.tune_worker import as_worker
from nc_sigopt_strategy.errors import ConfigFileError, DataError, MissingExtraError
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE

CONFIG = Path("/somewhere/run.yaml")


def begin(folder: Path, *, trials: int = 8, workers: int = 2, label: str = "sigopt") -> RunState:
    return RunState.begin(folder, CONFIG, label, max_trials=trials, workers=workers)


def job_of(strategy: StrategyConfig) -> ConfigJob:
    return ConfigJob(RunConfig((strategy,), path=CONFIG), strategy)


def test_a_run_is_gone_on_with(tmp_path: Path) -> None:
    state = begin(tmp_path)
    state.experiment_id = "7"
    state.workers = {"worker-1": Standing.DONE, "worker-2": Standing.LOST}
    state.write()
    again = begin(tmp_path, workers=3)
    assert again.run_id == state.run_id
    assert again.experiment_id == "7"
    assert again.workers == {
        "worker-1": Standing.DONE,
        "worker-2": Standing.WAITING,
        "worker-3": Standing.WAITING,
    }


def test_a_larger_budget_gives_all_workers_something_to_do(tmp_path: Path) -> None:
    state = begin(tmp_path)
    state.workers = dict.fromkeys(state.workers, Standing.DONE)
    state.finished = True
    state.write()
    assert begin(tmp_path).finished
    raised = begin(tmp_path, trials=9)
    assert not raised.finished
    assert set(raised.workers.values()) == {Standing.WAITING}


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(ConfigFileError, match="holds a run of"):
        begin(tmp_path, label="another")


@pytest.mark.parametrize("text", ["", "[]", '{"version": 9}', '{"version": 1, "workers": {}}'])
def test_a_state_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        begin(tmp_path)


def test_what_is_handed_over_arrives_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    handover = handover_for({"sigopt_api_token": "hush"}, "postgresql://u:hush@h/d")
    assert "hush" not in f"{handover} {handover!r}"
    arrived = pickle.loads(pickle.dumps(handover))
    assert isinstance(arrived, Handover)
    assert arrived.reveal()[TOKEN_VARIABLE] == "hush"
    assert arrived.reveal()[STORAGE_VARIABLE] == "postgresql://u:hush@h/d"
    assert arrived.reveal()["OMP_NUM_THREADS"] == "3"


def test_what_ray_sets_is_taken_away() -> None:
    of_ray = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "RAY_JOB_ID": "1"}
    assert without_ray({**of_ray, "PATH": "/bin"}) == {"PATH": "/bin"}


def test_a_request_survives_its_file(tmp_path: Path) -> None:
    request = WorkerRequest(CONFIG, "worker-1", 2, tmp_path, tmp_path, timeout=5)
    assert WorkerRequest.read(request.write()) == request
    said = JobOptions(
        data=tmp_path / "data.py",
        inputs=("x",),
        loss=0.02,
        max_trials=7,
        settings={"search_space": "full", "locked_ops": {"a": "fp32"}},
    )
    of_a_model = replace(request, options=said)
    assert WorkerRequest.read(of_a_model.write()) == of_a_model


def test_a_request_makes_an_ordinary_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, "sqlite:///x.sqlite3")
    job = job_of(StrategyConfig("sigopt", "sigopt", {"sampler": "tpe"}))
    request = WorkerRequest(CONFIG, "worker-1", 2, tmp_path, tmp_path)
    kwargs = {
        "sampler": "tpe",
        "worker": "worker-1",
        "parallel_bandwidth": 2,
        "storage": "sqlite:///x.sqlite3",
        "finalists": 1,
    }
    assert as_worker(job, request).strategy_kwargs == kwargs
    # An experiment that an earlier process created, and nobody was told of.
    (tmp_path / "experiment.json").write_text('{"experiment_id": "4"}')
    assert as_worker(job, request).strategy_kwargs["sigopt_experiment_id"] == "4"


def test_what_a_worker_says_about_its_end(tmp_path: Path) -> None:
    assert WorkerStatus.of(tmp_path, None) == WorkerStatus(running=True)
    (tmp_path / ERROR_FILE).write_text('{"kind": "DataError", "message": "no images"}')
    status = WorkerStatus.of(tmp_path, 1)
    assert status.error == "DataError: no images"
    assert status.lasting


def test_calibration_files_are_added_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    write_missing(tmp_path, {"a": b"theirs", "b": b"new", "../c": b"kept inside"})
    assert read_files(tmp_path) == {"a": b"mine", "b": b"new", "c": b"kept inside"}
    assert read_files(tmp_path / "nowhere") == {}


class OtherMachines(Cluster):
    def __init__(self) -> None:
        pass

    def nodes(self) -> list[Node]:
        return [Node("n", "far-away", 4.0)]


@pytest.mark.parametrize("kwargs", [{}, {"storage": "sqlite:///runs/all.sqlite3"}])
def test_a_file_is_no_store_for_several_machines(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    cluster, options = OtherMachines(), RayOptions(2)
    with pytest.raises(ConfigFileError, match="elsewhere: far-away"):
        _storage(kwargs, tmp_path, options, cluster)
    shared = {"storage": "postgresql://db/x"}
    assert _storage(shared, tmp_path, options, cluster) is None
    with_server = {"sigopt_api_token": "t"}
    assert _storage(with_server, tmp_path, options, cluster) is None


def test_only_sigopt_has_workers() -> None:
    pytest.importorskip("ray")
    job = job_of(StrategyConfig("basic", "basic"))
    with pytest.raises(ConfigFileError, match="only the sigopt strategy has workers"):
        tune_on_ray(job, lambda line: None, RayOptions(2))


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    job = job_of(StrategyConfig("sigopt", "sigopt"))
    with pytest.raises(MissingExtraError, match=r"nc_sigopt_strategy\[ray\]"):
        tune_on_ray(job, lambda line: None, RayOptions(2))


def test_rays_own_client_is_refused() -> None:
    with pytest.raises(RayError, match="--ray auto"), connected("ray://head:10001"):
        pass
