"""One way from what a dataloader yields to what a model takes, for every use of a batch.

Timing, output noise, calibration and the first check all get their batches from a ``Feeder``:
plain numpy arrays of the model's own inputs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.model_inputs import ModelInput, described
from nc_sigopt_strategy.errors import DataError, in_one_line

logger = logging.getLogger("nc_sigopt_strategy")


class Feeder:
    """Turns the inputs of a batch into arrays, and says what does not fit.

    Args:
        inputs: What the model takes, in the order of its inputs.
        called: What a message calls a batch; its number follows.
        tell: Gets what is changed in batches, in sentences, each once.
    """

    def __init__(
        self,
        inputs: Sequence[ModelInput],
        called: str = "calibration batch",
        tell: Callable[[str], None] = logger.warning,
    ) -> None:
        self._inputs = list(inputs)
        self._called = called
        self._tell = tell
        self._said: set[str] = set()

    def feed(self, batch: Any, index: int) -> Any:
        """What the model takes of a batch.

        Args:
            batch: One input (for a model with one), or several: by position in a list or tuple,
                by name in a mapping or a table with columns.
            index: Number of the batch, for messages.

        Returns:
            An array for a model with one input, else input name to array.

        Raises:
            DataError: An input is missing, or is not of the model's shape or type.
        """
        if not self._inputs:
            return batch
        values = self._by_name(batch, index)
        fed = {
            known.name: self._fitting(known, value, index)
            for known, value in zip(self._inputs, values, strict=True)
        }
        return next(iter(fed.values())) if len(fed) == 1 else fed

    def _by_name(self, batch: Any, index: int) -> list[Any]:
        if isinstance(batch, (list, tuple)) and len(batch) == 1 and isinstance(batch[0], Mapping):
            batch = batch[0]
        named = _columns(batch, [known.name for known in self._inputs])
        if named is not None:
            return self._picked(named, index)
        if len(self._inputs) == 1:
            return [_unwrapped(batch, self._inputs[0])]
        held = f"{self._called.capitalize()} {index} holds"
        parts = list(batch) if isinstance(batch, (list, tuple)) else [batch]
        if len(parts) != len(self._inputs):
            raise DataError(
                f"{held} {len(parts)} inputs, and the model has "
                f"{len(self._inputs)}: {_listed(known.name for known in self._inputs)}.",
                "The dataloader must yield (inputs, label) with one array for each input, in "
                "this order or by name.",
            )
        return parts

    def _picked(self, named: Mapping[Any, Any], index: int) -> list[Any]:
        keys = {known.name: _key_of(known.name, named) for known in self._inputs}
        missing = [name for name, key in keys.items() if key is None]
        if missing:
            raise DataError(
                f"{self._called.capitalize()} {index} has no {_listed(missing)}: its keys are "
                f"{_listed(named) or 'none'}, and the model's inputs are {_listed(keys)}.",
                "Let the dataloader yield a dict with a key for each input of the model.",
            )
        extra = [key for key in named if key not in keys.values()]
        if extra:
            self._say_once(
                f"The dataloader's keys {_listed(extra)} are no inputs of the model; they are "
                "left out."
            )
        return [named[key] for key in keys.values()]

    def _fitting(self, known: ModelInput, value: Any, index: int) -> Array:
        where = f"Input {known.name!r} of {self._called} {index}"
        array = as_array(value, where, known.dtype)
        if known.shape is not None:
            if array.ndim == 1 and len(known.shape) == 2 and known.shape[1] == 1:
                array = array[:, np.newaxis]  # a column of a table, as scikit-learn's models take
            _check_shape(known, array, where)
        if known.dtype is None or array.dtype == known.dtype:
            return array
        return self._converted(known, known.dtype, array, where)

    def _converted(
        self, known: ModelInput, wanted: np.dtype[Any], array: Array, where: str
    ) -> Array:
        if wanted.kind == "O" and array.dtype.kind in "US":
            return array.astype(object)  # text, which numpy holds in either way
        whole = "iu"
        same = array.dtype.kind == wanted.kind == "f" or (
            array.dtype.kind in whole and wanted.kind in whole
        )
        if not same:
            raise DataError(
                f"{where} does not fit the model: it is {described(array.dtype, array.shape)}, "
                f"and the model takes {known.describe()}.",
                f'Convert it in the dataloader, for instance with .astype("{wanted.name}").',
            )
        converted = array.astype(wanted)
        if wanted.kind in whole and not np.array_equal(converted, array):
            raise DataError(
                f"{where} holds numbers that do not fit {wanted.name}, which the model takes; it "
                f"is {array.dtype.name}."
            )
        self._say_once(
            f"Input {known.name!r} comes as {array.dtype.name} and the model takes {wanted.name}: "
            "it is converted."
        )
        return converted

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._tell(text)


def as_array(value: Any, where: str, dtype: np.dtype[Any] | None = None) -> Array:
    """Whatever holds numbers as a numpy array.

    Args:
        value: An array, a tensor of TensorFlow or torch, a list, a number, a table.
        where: What it is, for the message.
        dtype: Of the model's input; what has no type of its own, as a list has none, takes it.

    Raises:
        DataError: It cannot be one.
    """
    if isinstance(value, np.ndarray):
        return value
    typeless = isinstance(value, (list, tuple, int, float)) or _is_table(value)
    try:
        array = _plain(value)
        if typeless and dtype is not None and array.dtype.kind in "iufO":
            exact = array.astype(dtype)
            if dtype.kind == "f" or np.array_equal(exact, array):
                array = exact
    except Exception as error:  # each framework has its own way to say no
        raise DataError(
            f"{where} is a {type(value).__name__} that cannot be turned into an array: "
            f"{in_one_line(error)}",
            "Give numpy arrays whose rows have one shape; pad what differs in length.",
        ) from error
    if array.dtype.kind == "O" and dtype is not None and dtype.kind != "O":
        raise DataError(
            f"{where} is a {type(value).__name__} that cannot be turned into an array of numbers.",
            "Give numpy arrays.",
        )
    return array


def _plain(value: Any) -> Array:
    if isinstance(value, (list, tuple)) and any(_is_tensor(part) for part in value):
        return np.stack([_plain(part) for part in value])
    if hasattr(value, "detach"):
        # torch: off the graph, off the device, and out of a type that numpy has not.
        value = value.detach().cpu()
        return np.asarray((value.float() if "bfloat16" in str(value.dtype) else value).numpy())
    return np.asarray(value.numpy() if _is_tensor(value) else value)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") or callable(getattr(value, "numpy", None))


def _is_table(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def _columns(batch: Any, names: Sequence[str]) -> Mapping[Any, Any] | None:
    """What is found by name in a batch; ``None`` if its parts have no names."""
    if isinstance(batch, Mapping):
        return batch
    if _is_table(batch) and all(name in batch.columns for name in names):
        return {name: batch[name] for name in batch.columns}
    return None


def _key_of(name: str, named: Mapping[Any, Any]) -> Any:
    bare = name.removesuffix(":0")
    # A SavedModel's graph puts the signature's name before the input's.
    candidates = (name, bare, f"{bare}:0", bare.removeprefix("serving_default_"))
    return next((key for key in candidates if key in named), None)


def _unwrapped(batch: Any, known: ModelInput) -> Any:
    """The one input of a model, also where it comes in a list of its own."""
    if not isinstance(batch, (list, tuple)) or len(batch) != 1:
        return batch
    inner = getattr(batch[0], "shape", None)
    if inner is None or known.shape is None:
        return batch if known.shape is not None or inner is None else batch[0]
    return batch[0] if len(inner) == len(known.shape) else batch


def _check_shape(known: ModelInput, array: Array, where: str) -> None:
    expected = known.shape or ()
    both = f"got {described(array.dtype, array.shape)}, the model takes {known.describe()}"
    if array.ndim != len(expected):
        raise DataError(
            f"{where} does not fit the model: it has {array.ndim} axes and not {len(expected)} "
            f"({both}).",
            "The dataloader must yield batches, with inputs of the model's own shape.",
        )
    for axis, (got, size) in enumerate(zip(array.shape, expected, strict=True)):
        if size is not None and got != size:
            raise DataError(
                f"{where} does not fit the model: axis {axis} has {got} and not {size} ({both}).",
                f"The model was exported for batches of {size}: give such a dataloader, or "
                "export it again with a free first axis."
                if axis == 0
                else "The dataloader must yield inputs of the model's own shape.",
            )


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
