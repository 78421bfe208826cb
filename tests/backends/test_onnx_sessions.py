"""Sessions of ONNX Runtime: their options, and models that cannot be loaded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from nc_sigopt_strategy.backends.find import backend_for
from nc_sigopt_strategy.backends.onnxruntime import open_onnx_model, session_options
from nc_sigopt_strategy.errors import ModelError, SettingsError
from nc_sigopt_strategy.settings.session_options import that_change_something
from nc_sigopt_strategy.settings.settings import Settings
from tests.integration.small_onnx import write_small_onnx

onnxruntime = pytest.importorskip("onnxruntime")

KEY = "onnxruntime_session_options"


def test_options_reach_onnx_runtime() -> None:
    options = session_options(
        {
            "intra_op_num_threads": 3,
            "inter_op_num_threads": 2,
            "graph_optimization_level": "disable",
        }
    )
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert options.graph_optimization_level == level


def test_a_model_opens_from_a_file_and_from_bytes(tmp_path: Path) -> None:
    path = write_small_onnx(tmp_path / "small.onnx")
    images = np.ones((2, 3, 12, 12), np.float32)
    answers = []
    for model in (path, path.read_bytes()):
        session = open_onnx_model(model, session_options({"intra_op_num_threads": 1}))
        answers.append(session.run(images)[0])
        session.close()
    np.testing.assert_array_equal(*answers)


def test_models_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    for model, said in ((tmp_path / "none.onnx", "no model file"), (broken, "broken.onnx")):
        with pytest.raises(ModelError, match=said):
            open_onnx_model(model)
    with pytest.raises(ModelError, match="11 bytes"):
        open_onnx_model(b"not a model")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2, "must be a dict, but is 2"),
        ({"threads": 2}, "unknown option 'threads'"),
        ({"intra_op_num_threads": -1}, "at least 0, but is -1"),
        ({"inter_op_num_threads": True}, "at least 0, but is True"),
        ({"graph_optimization_level": "most"}, "but is 'most'"),
        ({"allow_spinning": 1}, "must be true or false, but is 1"),
    ],
)
def test_wrong_options_are_refused(value: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.from_kwargs({KEY: value})


def test_no_options_are_the_same_as_an_empty_dict() -> None:
    assert (
        Settings.from_kwargs({KEY: {}})
        == Settings.from_kwargs({})
        == Settings.from_kwargs({KEY: None})
    )


def test_defaults_that_are_spelled_out_change_nothing() -> None:
    spelled_out = {
        "intra_op_num_threads": 0,
        "inter_op_num_threads": 0,
        "graph_optimization_level": "all",
        "allow_spinning": False,
    }
    assert that_change_something(Settings.from_kwargs({KEY: spelled_out})
                                 .onnxruntime_session_options) == {}  # fmt: skip
    assert that_change_something({**spelled_out, "intra_op_num_threads": 2}) == {
        "intra_op_num_threads": 2
    }
    assert that_change_something({"allow_spinning": True}) == {"allow_spinning": True}
    assert that_change_something(None) == {}


def test_threads_spin_only_if_asked_for() -> None:
    for key in ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning"):
        for without in (None, {"allow_spinning": False}):
            assert session_options(without).get_session_config_entry(key) == "0"
        with pytest.raises(RuntimeError):  # not set: ONNX Runtime's default, which is spinning
            session_options({"allow_spinning": True}).get_session_config_entry(key)


def test_options_are_refused_for_tensorflow() -> None:
    with pytest.raises(SettingsError, match="one of tensorflow"):
        backend_for("tensorflow", {"intra_op_num_threads": 1})


def test_every_session_of_the_backend_has_the_options(tmp_path: Path) -> None:
    model = SimpleNamespace(model=onnx.load(str(write_small_onnx(tmp_path / "small.onnx"))))
    backend = backend_for("onnxrt_qdq", {"intra_op_num_threads": 3})
    for _ in range(2):
        session: Any = backend.open(model)
        assert session._session.get_session_options().intra_op_num_threads == 3
