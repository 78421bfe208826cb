"""The user's dataloader as INC gets it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.hosts.fed_loader import fed
from nc_sigopt_strategy.measurement.feeding import Feeder
from tests.conftest import Loader

X = np.arange(24, dtype=np.float32).reshape(8, 3)


def feeder() -> Feeder:
    return Feeder([ModelInput("x", (None, 3), np.dtype(np.float32))])


class Indexed:
    """As a Keras sequence: no iterator."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, position: int) -> Any:
        return X[4 * position : 4 * position + 4].tolist(), [0] * 4


def _dataset() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, np.zeros(8))).batch(4)


@pytest.mark.parametrize(
    "loader",
    [
        Loader(X, np.zeros(8), 4),
        [(X[:4], None), (X[4:].tolist(), None)],
        Indexed(),
        _dataset(),
    ],
    ids=["loader", "list", "indexed", "tf.data"],
)
def test_batches_are_arrays(loader: Any) -> None:
    import tensorflow as tf

    wrapped = fed(loader, feeder)
    assert wrapped.batch_size == 4
    assert len(wrapped) == 2
    assert isinstance(wrapped, type(loader))
    for _ in range(2):
        with tf.Graph().as_default():
            batches = [inputs for inputs, _ in wrapped]
        assert all(type(batch) is np.ndarray for batch in batches)
        assert np.array_equal(np.concatenate(batches), X)


def test_what_a_loader_has_is_found() -> None:
    from neural_compressor.data import DataLoader
    from neural_compressor.data.dataloaders.base_dataloader import BaseDataLoader

    class Dataset:
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, position: int) -> Any:
            return X[position], 0

    dataset = Dataset()
    wrapped = fed(DataLoader(framework="onnxruntime", dataset=dataset, batch_size=8), feeder)
    assert isinstance(wrapped, BaseDataLoader)
    assert wrapped.dataset is dataset
    wrapped.batch(2)
    assert wrapped.batch_size == 2
    assert len(next(iter(wrapped))[0]) == 2
    assert fed(wrapped, feeder) is wrapped
    assert fed(None, feeder) is None


def test_a_loader_of_no_known_length_has_none() -> None:
    class Stream:
        batch_size = 4

        def __iter__(self) -> Any:
            return iter([(X, None)])

    assert not hasattr(fed(Stream(), feeder), "__len__")


@pytest.mark.parametrize(
    ("loader", "said"), [((x for x in [X]), "only once"), (5, "cannot be iterated")]
)
def test_what_cannot_be_read_is_refused(loader: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fed(loader, feeder)
