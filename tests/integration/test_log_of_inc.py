"""What Neural Compressor logs under ``fit`` is in the run folder, and not on the screen."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.fitting import configure, fit, outcome
from tests.support.log_screen import INC, OURS, log_screen

pytestmark = pytest.mark.integration
# What `fit` logs before there is a strategy, which knows the folder.
BEFORE = 5
STORE = "sqlite:///{}/store.sqlite3"


@pytest.fixture
def screen() -> Iterator[io.StringIO]:
    with log_screen("%(name)s: %(message)s") as stream:
        yield stream


def shown(screen: io.StringIO, logger: logging.Logger) -> list[str]:
    return [line for line in screen.getvalue().splitlines() if line.startswith(f"{logger.name}: ")]


def test_the_screen_shows_ours(
    screen: io.StringIO, tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    handlers = INC.handlers[:]
    fit(small_model, configure(tmp_path, max_trials=2), small_loader, small_accuracy)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert len(log.splitlines()) > 30
    assert "Specified timeout or max trials is reached!" in log, "the last line of INC's fit"
    assert "Trial 2" in log, "ours too"
    assert len(shown(screen, INC)) <= BEFORE
    assert any("log.txt" in line for line in shown(screen, OURS))
    assert set(INC.handlers) == set(handlers)
    # Another strategy logs to the screen as ever.
    conf = configure(tmp_path, strategy="basic", max_trials=1)
    fit(small_model, conf, small_loader, small_accuracy)
    assert len(shown(screen, INC)) > 30
    assert (tmp_path / "run" / "log.txt").read_text() == log


def test_on_request_all_is_on_the_screen(
    screen: io.StringIO, tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    conf = configure(tmp_path, {"show_inc_log": True}, max_trials=1)
    fit(small_model, conf, small_loader, small_accuracy)
    assert len(shown(screen, INC)) > 30
    assert not (tmp_path / "run" / "log.txt").exists()


def test_nothing_is_lost_when_a_run_ends_early(
    screen: io.StringIO, tmp_path: Path, small_model: Path, small_loader: Any
) -> None:
    def broken(model: Any) -> float:
        INC.error("said before the end")
        raise KeyError("no such label")

    handlers = INC.handlers[:]
    fit(small_model, configure(tmp_path), small_loader, broken)
    assert "no such label" in str(outcome().crash)
    assert "said before the end" in (tmp_path / "run" / "log.txt").read_text()
    assert any("no such label" in line for line in screen.getvalue().splitlines())
    assert set(INC.handlers) == set(handlers)


def test_a_run_that_cannot_begin_gives_the_screen_back(
    screen: io.StringIO, tmp_path: Path, small_model: Path, small_loader: Any, small_accuracy: Any
) -> None:
    handlers = INC.handlers[:]
    conf = configure(tmp_path, {"sigopt_experiment_id": "77", "storage": STORE.format(tmp_path)})
    with pytest.raises(Exception, match="77"):
        fit(small_model, conf, small_loader, small_accuracy)
    assert set(INC.handlers) == set(handlers)
