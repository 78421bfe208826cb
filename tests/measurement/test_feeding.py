"""One feeder for every use of a batch: what it takes, and what it says of the rest."""

from __future__ import annotations

import itertools
import logging
from collections import UserDict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.measurement.batches import batch_length, first_inputs, pair_of
from nc_sigopt_strategy.measurement.feeding import Feeder
from tests.conftest import logged

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)
ONE = Feeder([ModelInput("x", (None, 3), F32)])
TEXT = [ModelInput("ids", (None, None), I64), ModelInput("mask", (None, None), I64)]
X = np.arange(6, dtype=np.float32).reshape(2, 3)
IDS = np.arange(8).reshape(2, 4)


class Tensor:
    """What TensorFlow's and torch's tensors have in common."""

    def __init__(self, value: Any) -> None:
        self.value, self.shape = value, value.shape

    def numpy(self) -> Any:
        return self.value


@pytest.mark.parametrize(
    "batch",
    ids=itertools.count(),
    argvalues=[
        X,
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        [X],
        (X,),
        {"x": X},
        ({"x": X},),
        {"x:0": X},
        Tensor(X),
        [Tensor(X)],
        [Tensor(row) for row in X],
        pd.DataFrame(X),
        pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}),
        X.astype(np.float64),
        X.astype(np.float16),
        UserDict({"x": X.tolist()}),
    ],
)
def test_one_input_in_any_form(batch: Any) -> None:
    fed = ONE.feed(batch, 0)
    assert fed.dtype == np.float32
    assert np.array_equal(fed, X)


@pytest.mark.parametrize(
    "batch",
    ids=itertools.count(),
    argvalues=[
        (IDS, np.ones_like(IDS)),
        [IDS.tolist(), np.ones_like(IDS).tolist()],
        {"mask": np.ones_like(IDS), "ids": IDS},
        {"ids": Tensor(IDS.astype(np.int32)), "mask": np.ones((2, 4), np.int32)},
    ],
)
def test_several_inputs_in_any_form(batch: Any) -> None:
    fed = Feeder(TEXT).feed(batch, 0)
    assert list(fed) == ["ids", "mask"]
    assert all(array.dtype == np.int64 for array in fed.values())
    assert np.array_equal(fed["ids"], IDS)


def test_a_table_is_read_by_its_columns() -> None:
    inputs = [ModelInput("age", (None,), F32), ModelInput("rooms", (None,), I64)]
    table = pd.DataFrame({"rooms": [1, 2], "age": [3.0, 4.0], "price": [5, 6]})
    fed = Feeder(inputs).feed(table, 0)
    assert fed["age"].tolist() == [3.0, 4.0]
    assert fed["rooms"].dtype == np.int64


def test_a_column_fits_an_input_with_an_axis_of_one() -> None:
    inputs = [ModelInput("age", (None, 1), F32), ModelInput("town", (None, 1), np.dtype(object))]
    fed = Feeder(inputs).feed(pd.DataFrame({"age": [3.0, 4.0], "town": ["a", "b"]}), 0)
    assert fed["age"].tolist() == [[3.0], [4.0]]
    assert fed["town"].tolist() == [["a"], ["b"]]


def test_text_comes_as_either_of_numpys_types() -> None:
    feeder = Feeder([ModelInput("words", (None,), np.dtype(object))])
    for words in (np.array(["a", "b"]), np.array(["a", "b"], object), ["a", "b"]):
        fed = feeder.feed(words, 0)
        assert (fed.dtype, fed.tolist()) == (object, ["a", "b"])


def test_extra_keys_are_left_out_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    feeder = Feeder(TEXT)
    batch = {"ids": IDS, "mask": IDS, "token_type_ids": IDS, "labels": [0, 1]}
    with caplog.at_level(logging.WARNING):
        for index in range(3):
            assert list(feeder.feed(batch, index)) == ["ids", "mask"]
    assert len(logged(caplog)) == 1
    assert "'token_type_ids', 'labels'" in logged(caplog)[0]


@pytest.mark.parametrize(
    ("inputs", "batch", "said"),
    ids=itertools.count(),
    argvalues=[
        (TEXT, {"ids": IDS, "x": 1}, "has no 'mask': its keys are 'ids', 'x'"),
        (TEXT, (IDS,), "holds 1 inputs, and the model has 2: 'ids', 'mask'"),
        (TEXT, {"ids": IDS.astype(float), "mask": IDS}, "'ids' of calibration batch 7 does not"),
        (TEXT, {"ids": IDS.astype(float), "mask": IDS}, "float64 [2, 4], and the model takes int"),
        ([ModelInput("x", (1, 3), F32)], X, "axis 0 has 2 and not 1 (got float32 [2, 3]"),
        ([ModelInput("x", (None, 4), F32)], X, "axis 1 has 3 and not 4"),
        ([ModelInput("x", (None, 3, 3), F32)], X, "it has 2 axes and not 3"),
        ([ModelInput("x", (None, 3), F32)], X > 1, "is bool [2, 3]"),
        ([ModelInput("x", (None, None), F32)], [[1.0], [1.0, 2.0]], "cannot be turned into"),
        ([ModelInput("x", (None,), F32)], np.array(["a", None]), "does not fit the model"),
        ([ModelInput("x", (None,), np.dtype(np.int8))], np.array([300]), "do not fit int8"),
    ],
)
def test_what_does_not_fit_is_named(inputs: Any, batch: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        Feeder(inputs).feed(batch, 7)
    assert said in str(caught.value)
    assert "batch 7" in str(caught.value)


def test_a_flag_beside_the_data_has_no_length() -> None:
    fed = {"flag": np.array(True), "x": X}
    assert batch_length(fed) == 2
    assert len(first_inputs(fed, 1)["x"]) == 1
    assert bool(first_inputs(fed, 1)["flag"])


def test_a_mapping_holds_inputs_and_label() -> None:
    assert pair_of({"ids": IDS, "labels": [1, 0]}, 0)[1] == [1, 0]
    assert pair_of({"ids": IDS}, 0)[1] is None
    with pytest.raises(DataError, match="not a pair"):
        pair_of(X, 0)
    with pytest.raises(DataError, match="tuple of 3, not a pair"):
        pair_of((X, X, X), 0)
