"""What a user's mistakes get, under INC's own ``fit``: each test reads the message."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.client.sigopt_client import failed_status_rate_limit
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.results.run_files import read_outcome
from tests.conftest import Loader
from tests.engine.http_server import serve_driver
from tests.integration.fitting import configure, fit, outcome

pytestmark = pytest.mark.integration

TOKEN = "a-token-that-must-not-show"


@pytest.fixture(autouse=True)
def no_client_backoff() -> Iterator[None]:
    yield
    failed_status_rate_limit.clear()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[EmbeddedDriver]:
    driver = EmbeddedDriver(f"sqlite:///{tmp_path}/server.sqlite3")
    yield driver
    driver.close()


@pytest.fixture
def refused(tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any) -> Any:
    """Fit and return the message that the constructor raised, through INC's ``fit``."""

    def refused(strategy_kwargs: dict[str, Any], **more: Any) -> str:
        with pytest.raises(SigOptStrategyError) as caught:
            fit(
                small_model, configure(tmp_path, strategy_kwargs, **more), small_loader,
                small_accuracy,
            )  # fmt: skip
        message = str(caught.value)
        assert TOKEN not in message
        assert TOKEN not in repr(caught.value)
        assert caught.value.__cause__ is None or TOKEN not in str(caught.value.__cause__)
        return message

    return refused


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"sigopt_api_tokne": "x"}, "Did you mean 'sigopt_api_token'?"),
        ({"sigopt_api_token": ""}, "Leave the key out to use the embedded engine"),
        ({"sigopt_api_token": 5}, "sigopt_api_token must be a string"),
        ({"sigopt_project_id": "My Project"}, "'My Project' is not a SigOpt project id"),
        ({"sigopt_experiment_name": ""}, "sigopt_experiment_name must be a string"),
        ({"sigopt_experiment_id": "nc-tune"}, "Did you mean sigopt_experiment_name?"),
        ({"sigopt_experiment_id": "4711"}, "There is no experiment '4711'"),
        ({"sampler": "tpr"}, "Did you mean 'tpe'?"),
        ({"search_space": "int4"}, "must be one of dtype, int8, full, but is 'int4'"),
        (
            {"calibration": "exactly"},
            "must be one of fitted, exact, as_printed, stock, but is 'exactly'",
        ),
        ({"calibration_cache": 5}, "calibration_cache"),
        ({"finalists": 0}, "finalists must be a whole number of at least 1"),
        ({"trial_timeout_seconds": -1}, "must be a number of seconds of at least 0"),
        ({"locked_ops": {"(": "fp32"}}, "is not a regular expression"),
        ({"latency_func": 3}, "must be a function"),
        ({"stop_at_first": "yes"}, "stop_at_first must be True or False, but is 'yes'"),
    ],
)
def test_wrong_settings(refused: Any, kwargs: dict[str, Any], said: str) -> None:
    assert said in refused(kwargs)


@pytest.mark.parametrize("max_trials", [0, -3])
def test_no_trials(refused: Any, max_trials: int) -> None:
    assert f"max_trials must be at least 1, but is {max_trials}" in refused(
        {}, max_trials=max_trials
    )


def test_bad_sigopt_project_variable(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGOPT_PROJECT", "Not A Project")
    assert "SIGOPT_PROJECT 'Not A Project' is not a SigOpt project id" in refused({})


def test_store_that_is_not_a_database(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite3"
    path.write_text("not a database, " * 100)
    assert str(path) in refused({"storage": f"sqlite:///{path}"})


def test_store_of_a_newer_version(refused: Any, tmp_path: Path) -> None:
    path = tmp_path / "newer.sqlite3"
    EmbeddedDriver(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
        database.execute("UPDATE version_info SET schema_version = 99")
    message = refused({"storage": f"sqlite:///{path}"})
    assert str(path) in message
    assert "version" in message


def test_store_that_cannot_be_written(refused: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    path = blocked / "store.sqlite3"
    assert str(path) in refused({"storage": f"sqlite:///{path}"})


def test_unreachable_server_names_both_ways_out(refused: Any) -> None:
    begun = time.monotonic()
    message = refused({"sigopt_api_token": TOKEN, "sigopt_api_url": "http://127.0.0.1:9"})
    assert "http://127.0.0.1:9 cannot be reached" in message
    assert "embedded engine" in message
    assert "sigopt_api_url" in message
    # A promise to users, not a speed test: a wrong address must not hang.
    assert time.monotonic() - begun < 60


def test_refused_token(refused: Any, driver: EmbeddedDriver) -> None:
    with serve_driver(driver, token="another") as url:
        message = refused({"sigopt_api_token": TOKEN, "sigopt_api_url": url})
    assert "refuses the API token" in message
    assert "403" in message


def test_server_error(refused: Any, driver: EmbeddedDriver) -> None:
    with serve_driver(driver, token=TOKEN, fail_with=500) as url:
        message = refused({"sigopt_api_token": TOKEN, "sigopt_api_url": url})
    assert "500" in message


def test_web_page_instead_of_an_api(refused: Any, driver: EmbeddedDriver) -> None:
    with serve_driver(driver, token=TOKEN, html=True) as url:
        message = refused({"sigopt_api_token": TOKEN, "sigopt_api_url": url})
    assert "not like a SigOpt server" in message


def test_experiment_of_another_model_or_bound(
    refused: Any, tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    known = outcome().experiment_id
    message = refused({"sigopt_experiment_id": known, "search_space": "full"}, loss=0.05)
    assert "search space, accuracy criterion changed" in message
    assert "model" not in message.split("changed")[0].split(":")[1]


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        (Loader(np.zeros((0, 12, 12, 3), np.float32), np.zeros(0)), "is empty"),
        (Loader(np.zeros((8, 5, 5, 7), np.float32), np.zeros(8)), "does not fit the model"),
        (Loader(np.full((8, 12, 12, 3), np.nan, np.float32), np.zeros(8)), "batch 0 holds NaN"),
    ],
    ids=["empty", "wrong shape", "nan"],
)
def test_bad_calibration_data(
    tmp_path: Path, small_model: Path, small_accuracy: Any, loader: Loader, said: str
) -> None:
    assert fit(small_model, configure(tmp_path), loader, small_accuracy) is None
    assert not outcome().found
    assert said in read_outcome(tmp_path / "run").stop_reason


def test_calibration_data_that_can_be_read_once(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    class Once:
        batch_size = 8

        def __init__(self) -> None:
            self._left = iter(small_loader)

        def __iter__(self) -> Any:
            return self._left

    once = Once()
    once._left = iter(list(small_loader)[:2])
    assert fit(small_model, configure(tmp_path), once, small_accuracy) is None
    assert "can be read only once" in outcome().stop_reason


def test_no_op_can_be_quantized(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, {"excluded_ops": [".*"]})
    assert fit(small_model, conf, small_loader, small_accuracy) is None
    assert "nothing to search" in outcome().stop_reason


def test_disk_full_while_saving(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nc_sigopt_strategy.backends.tensorflow.write_whole", full)
    conf = configure(tmp_path, loss=0.99, max_trials=2)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().found
    assert "could not be saved" in outcome().stop_reason
    assert "No space left on device" in outcome().stop_reason


def test_disk_full_for_the_small_files_too(
    tmp_path: Path,
    small_model: Path,
    small_loader: Any,
    small_accuracy: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit(small_model, configure(tmp_path, max_trials=1), small_loader, small_accuracy)
    earlier = outcome().experiment_id

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nc_sigopt_strategy.results.run_files.write_whole", full)
    conf = configure(tmp_path, loss=0.99, max_trials=2)
    assert fit(small_model, conf, small_loader, small_accuracy) is not None
    assert outcome().experiment_id != earlier
    assert "trials could not be written" in outcome().stop_reason


def test_a_winner_of_an_earlier_run_does_not_stay(
    tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    fit(small_model, configure(tmp_path, loss=0.99, max_trials=1), small_loader, small_accuracy)
    assert (tmp_path / "run" / "best_model.pb").exists()
    calls = []

    def falling(graph: Any) -> float:
        calls.append(1)
        return 1.0 if len(calls) == 1 else 0.0

    conf = configure(tmp_path, loss=0.01, max_trials=1)
    assert fit(small_model, conf, small_loader, falling) is None
    assert not (tmp_path / "run" / "best_model.pb").exists()
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_exception_context_holds_no_request(tmp_path: Path, driver: EmbeddedDriver) -> None:
    """Crash reporters walk the chain of contexts down to the request and its headers."""
    from nc_sigopt_strategy.client.connections import open_http
    from nc_sigopt_strategy.settings.settings import Settings

    with serve_driver(driver, token="another") as url:
        for address in (url, "http://127.0.0.1:9"):
            settings = Settings.from_kwargs({"sigopt_api_url": address})
            with pytest.raises(SigOptStrategyError) as caught:
                open_http(TOKEN, settings)
            assert caught.value.__context__ is None
            assert caught.value.__cause__ is None
