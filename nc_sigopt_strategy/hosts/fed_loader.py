"""The user's dataloader as a host gets it: every batch in plain arrays.

INC by itself feeds what a loader yields to the model as it is, with three ways of its own to
fail: an exit(0) where a batch is no array and torch is not installed, keys that are no inputs, and
inputs in another order. Here all batches come out of one ``Feeder``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.measurement.batches import batch_length, pair_of
from nc_sigopt_strategy.measurement.feeding import Feeder, as_array


class FedLoader:
    """Stands for a user's dataloader; who looks for it finds all that the loader has.

    Args:
        loader: Yields ``(inputs, label)``, or mappings that hold both.
        feeder: Makes the ``Feeder`` when the first batch is read.
    """

    def __init__(self, loader: Any, feeder: Callable[[], Feeder]) -> None:
        self._nc_loader = loader
        self._nc_new_feeder = feeder
        self._nc_feeder: Feeder | None = None
        self._nc_counted: int | None = None

    @property  # type: ignore[misc]  # nothing else lets isinstance see through
    def __class__(self) -> Any:
        # INC sets the batch size of loaders of its own class.
        return type(self._nc_loader)

    @property
    def batch_size(self) -> int:
        """As the loader says, else as its first batch is long."""
        said = getattr(self._nc_loader, "batch_size", None)
        if isinstance(said, int) and said > 0:
            return said
        if self._nc_counted is None:
            first = next(iter(self), None)
            self._nc_counted = 1 if first is None else batch_length(first[0])
        return self._nc_counted

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if self._nc_feeder is None:
            self._nc_feeder = self._nc_new_feeder()
        for index, item in enumerate(_items(self._nc_loader)):
            inputs, label = pair_of(item, index)
            yield self._nc_feeder.feed(inputs, index), _plain_label(label)

    def __getattr__(self, name: str) -> Any:
        # Not found while this is copied, before there is a loader.
        if name.startswith("_nc_"):
            raise AttributeError(name)
        return getattr(self._nc_loader, name)


class _SizedFedLoader(FedLoader):
    def __len__(self) -> int:
        return len(self._nc_loader)


def fed(loader: Any, feeder: Callable[[], Feeder]) -> Any:
    """A dataloader whose batches are plain arrays of the model's inputs.

    Args:
        loader: The user's; ``None`` stays ``None``.
        feeder: Makes the ``Feeder`` of the model.

    Raises:
        DataError: It cannot be iterated, or only once.
    """
    if loader is None or type(loader) in (FedLoader, _SizedFedLoader):
        return loader
    check_iterable(loader)
    try:
        len(loader)
    except Exception:  # there is none, or it says nonsense
        return FedLoader(loader, feeder)
    return _SizedFedLoader(loader, feeder)


def check_iterable(loader: Any) -> None:
    """Check that a loader can be read, and more than once.

    Raises:
        DataError: It cannot.
    """
    if not hasattr(loader, "__iter__") and not _is_indexed(loader):
        raise DataError(
            f"The dataloader is a {type(loader).__name__}, which cannot be iterated.",
            "Give an object whose __iter__ yields (inputs, label), a list of such pairs or a "
            "tf.data.Dataset.",
        )
    if hasattr(loader, "__next__"):
        raise DataError(
            f"The calibration dataloader is a {type(loader).__name__}, which can be read only "
            "once.",
            "Give an object whose __iter__ starts anew; tuning reads the data more than once.",
        )


def _is_indexed(loader: Any) -> bool:
    return hasattr(loader, "__getitem__") and hasattr(loader, "__len__")


def _items(loader: Any) -> Iterator[Any]:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(loader, tensorflow.data.Dataset):
        return _items_of_dataset(loader)
    if not hasattr(loader, "__iter__"):
        return (loader[position] for position in range(len(loader)))
    return iter(loader)


def _items_of_dataset(dataset: Any) -> Iterator[Any]:
    from tensorflow.python.eager.context import eager_mode

    # INC iterates while a graph is the default one, where a dataset refuses to.
    with eager_mode():
        iterator = iter(dataset)
    while True:
        with eager_mode():
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def _plain_label(label: Any) -> Any:
    if hasattr(label, "detach") or callable(getattr(label, "numpy", None)):
        return as_array(label, "The label")
    return label
