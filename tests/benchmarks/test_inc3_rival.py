"""Neural Compressor 3's own ``autotune`` as a rival, where there is a Neural Compressor 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.running.rivals.worker import main
from nc_sigopt_benchmarks.runtimes.data_files import CALIBRATION, EVALUATION, DataFiles
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_strategy.hosts.find import INC3, named_host
from nc_sigopt_strategy.hosts.inc3.versions import require_inc3
from tests.conftest import INPUT_NAME, OUTPUT_NAME

if not named_host(INC3).is_installed:
    pytest.skip("There is no Neural Compressor 3.8 or newer.", allow_module_level=True)
# By itself it would take pytest's stream for that which TensorFlow prints on.
require_inc3()


@pytest.fixture
def asked(
    small_model: Path, small_data: Any, small_labels: np.ndarray, tmp_path: Path
) -> RivalTask:
    data = DataFiles(tmp_path, None, 8, 16)
    images, _ = small_data
    data.write(CALIBRATION, images[:16], small_labels[:16])
    data.write(EVALUATION, images, small_labels)
    model = Deployed("tensorflow", small_model, (f"{INPUT_NAME}:0",), (f"{OUTPUT_NAME}:0",))
    (tmp_path / "run").mkdir()
    return RivalTask("inc3_autotune", {}, model, data, 0.5, True, 0.5, True, 60, tmp_path / "run")


def test_the_first_model_that_meets_the_bound(
    asked: RivalTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    users.mkdir()
    monkeypatch.chdir(users)
    assert main([str(asked.write())]) == 0
    assert Path.cwd() == users
    assert not list(users.iterdir())
    built = Built.read(asked.folder)
    assert built is not None
    (model,) = built.models
    assert model.what == "INC 3's autotune, 1 trials"
    assert not built.note
    assert asked.accuracy(model) >= asked.target


def test_a_bound_that_nothing_meets_ends_with_the_time(asked: RivalTask) -> None:
    changed = RivalTask(**{**vars(asked), "target": 1.1, "timeout": 1.0})
    assert main([str(changed.write())]) == 0
    built = Built.read(changed.folder)
    assert built is not None
    assert built.note == "The bound was not met when the time was up."
    assert changed.accuracy(built.models[0]) > 0


def test_a_calibration_that_takes_long_ends_with_the_time(asked: RivalTask) -> None:
    from nc_sigopt_benchmarks.running.rivals.inc3_autotune import Batches, TimeUpError, Tried

    tried = Tried(RivalTask(**{**vars(asked), "timeout": 1e-9}))
    batches = Batches(asked.data, tried.check_time)
    tried.count = 0
    assert len(list(batches)) == 2  # there is no model yet
    tried.count = 1
    with pytest.raises(TimeUpError):
        list(batches)
