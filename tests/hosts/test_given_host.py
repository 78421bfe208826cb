"""What hosts without INC share: what a user hands over, and how it is fed and evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import DataError, ModelError, SettingsError
from nc_sigopt_strategy.hosts.find import host_for, hosts_that_read, named_host, open_host
from nc_sigopt_strategy.hosts.given import Criterion, Given
from nc_sigopt_strategy.hosts.given_host import GivenHost, reason_with_causes
from nc_sigopt_strategy.hosts.predictor import open_evaluated
from nc_sigopt_strategy.settings.settings import Settings

ONE = [ModelInput("x", (None, 3), np.dtype(np.float32))]
TWO = [ModelInput("ids", (None,), np.dtype(np.int64)), ModelInput("mask", (None,))]


class Loader:
    """Yields what it holds, from the start each time."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


class Backend:
    """Opens nothing but a name."""

    def open(self, model: Any) -> Any:
        return f"session of {model}"


def shared(given: Given, inputs: list[ModelInput] = ONE) -> GivenHost:
    return GivenHost(given, Backend(), lambda: inputs, lambda model: f"users {model}")  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["1%", None, True, float("nan"), 1, 5.0])
def test_a_loss_that_is_no_fraction_is_refused(loss: Any) -> None:
    with pytest.raises(SettingsError, match=r"tolerable_loss.*0\.01"):
        Criterion(loss)


def test_an_absolute_loss_may_be_above_one() -> None:
    assert Criterion(5.0, relative=False).bound(90.0).target == 85.0


def test_the_criterion_is_in_words_and_a_bound() -> None:
    assert Criterion(0.01).bound(0.5).target == pytest.approx(0.495)
    assert Criterion(0.01, higher_is_better=False).bound(0.5).target == pytest.approx(0.505)
    assert Criterion(0.01).words() != Criterion(0.02).words()
    assert Criterion(0.01).words() != Criterion(0.01, relative=False).words()


def test_an_evaluation_must_be_a_function() -> None:
    with pytest.raises(SettingsError, match="eval_fn must be a function, but is 'accuracy'"):
        Given("model.onnx", Loader(), "accuracy")  # type: ignore[arg-type]


def test_calibration_stops_at_its_sampling_size_with_whole_batches() -> None:
    loader = Loader(*[(np.full((4, 3), i, np.float64), None) for i in range(9)])
    given = Given("m", loader, len, sampling_sizes=(10,))
    batches = list(shared(given).calibration_batches(10))
    assert [float(batch["x"][0, 0]) for batch in batches] == [0.0, 1.0, 2.0]
    assert all(batch["x"].dtype == np.float32 for batch in batches)


def test_dicts_and_lists_are_fed_by_name_and_position() -> None:
    ids, mask = [1, 2, 3], [1, 1, 0]
    for item in (
        ({"mask": mask, "ids": ids}, None),
        ([ids, mask], None),
        {"ids": ids, "mask": mask, "labels": [0, 1, 0]},
    ):
        [batch] = shared(Given("m", Loader(item), len), TWO).calibration_batches(1)
        assert list(batch) == ["ids", "mask"]
        assert batch["ids"].dtype == np.int64


def test_data_that_do_not_fit_are_told_at_once() -> None:
    host = shared(Given("m", Loader((np.zeros((2, 4)), None)), len))
    with pytest.raises(DataError, match="axis 1 has 4 and not 3"):
        host.calibration_data()


def test_a_generator_is_refused() -> None:
    with pytest.raises(DataError, match="only once"):
        shared(Given("m", (pair for pair in [(1, 2)]), len))


def test_an_evaluation_gets_the_users_model_and_its_session() -> None:
    seen: list[Any] = []

    def evaluate(model: Any) -> float:
        seen.append((model, open_evaluated(model), open_evaluated("another")))
        return 0.5

    evaluation = shared(Given("m", Loader(), evaluate)).evaluate("fp32")
    assert evaluation.accuracy == 0.5
    assert evaluation.duration_seconds >= 0
    assert seen == [("users fp32", "session of fp32", None)]
    assert open_evaluated("users fp32") is None


def raised_from(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_reasons_tell_causes_that_say_more() -> None:
    cause = ValueError("axis 1 is odd")
    assert reason_with_causes(raised_from(cause, RuntimeError("no model came out"))) == (
        "RuntimeError: no model came out (because of ValueError: axis 1 is odd)"
    )
    told = DataError("It does not fit: axis 1 is odd")
    assert reason_with_causes(raised_from(cause, told)) == f"DataError: {told}"


@pytest.mark.parametrize(
    ("name", "host"),
    [("m.onnx", "onnxruntime"), ("m.xml", "openvino"), ("m.pb", "inc"), ("m.ONNX", "onnxruntime")],
)
def test_the_file_says_the_host(tmp_path: Path, name: str, host: str) -> None:
    path = tmp_path / name
    path.touch()
    assert host_for(path).name == host


def test_hosts_of_a_kind(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    (tmp_path / "m.xml").touch()
    assert {host.name for host in hosts_that_read(tmp_path / "m.onnx")} == {
        "onnxruntime",
        "openvino",
        "inc",
    }
    with pytest.raises(ModelError, match=r"'onnxruntime' does not read a model in OpenVINO's IR"):
        host_for(tmp_path / "m.xml", "onnxruntime")


def test_wrong_names_and_models(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no host 'openvno'.*Did you mean 'openvino'"):
        named_host("openvno")
    with pytest.raises(ModelError, match="There is no model"):
        host_for(tmp_path / "no.onnx")
    with pytest.raises(ModelError, match=r"no saved_model\.pb"):
        host_for(tmp_path)
    (tmp_path / "m.txt").touch()
    with pytest.raises(ModelError, match="no kind of model"):
        host_for(tmp_path / "m.txt")
    with pytest.raises(ModelError, match="A list is no model"):
        host_for([1])


def test_inc_takes_no_given(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(SettingsError, match="does not take a model directly"):
        open_host("inc", Given(tmp_path / "m.onnx", Loader(), len), Settings())
