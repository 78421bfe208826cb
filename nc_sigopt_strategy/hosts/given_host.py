"""What hosts share that take a ``Given`` directly: data, evaluation, bound and reasons.

A host is a ``HostOfGiven``, which holds a ``GivenHost`` and hands its calls on; what is left to it
is the model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from nc_sigopt_strategy.backends.backend import Array, Backend
from nc_sigopt_strategy.backends.model_inputs import ModelInput
from nc_sigopt_strategy.errors import named
from nc_sigopt_strategy.hosts.fed_loader import fed
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.model_kind import name_of_model
from nc_sigopt_strategy.hosts.predictor import evaluating
from nc_sigopt_strategy.measurement.batches import (
    CalibrationData,
    batch_length,
    read_calibration_data,
)
from nc_sigopt_strategy.measurement.data_checks import EmptyBatches
from nc_sigopt_strategy.measurement.feeding import Feeder
from nc_sigopt_strategy.tuning.host import Baseline, Evaluation, Model

logger = logging.getLogger("nc_sigopt_strategy")

# How many causes of an error are told, the error itself included.
_CAUSES = 3


class GivenHost:
    """The part of a host that does not depend on its runtime.

    Args:
        given: What the user handed over.
        backend: Runs the host's models.
        inputs: What the model takes, in the order of its inputs; asked for when the first batch
            is read.
        users_model: What the user's functions get for a model; see ``Host.users_model``.

    Attributes:
        loader: The user's dataloader; yields ``(inputs, label)`` with inputs in plain arrays, one
            array for a model with one input, else input name to array. ``None`` if there is none.

    Raises:
        DataError: The dataloader cannot be iterated, or only once.
    """

    def __init__(
        self,
        given: Given,
        backend: Backend,
        inputs: Callable[[], Sequence[ModelInput]],
        users_model: Callable[[Model], Any],
    ) -> None:
        self._given = given
        self._backend = backend
        self._inputs = inputs
        self._users_model = users_model
        self._fp32: Evaluation | None = None
        self.loader = fed(given.calib_dataloader, lambda: Feeder(inputs()))

    @property
    def model_name(self) -> str:
        """See ``Host``."""
        return name_of_model(self._given.model)

    @property
    def criterion(self) -> str:
        """See ``Host``."""
        return self._given.criterion.words()

    def sampling_sizes(self) -> Sequence[int]:
        """See ``Host``."""
        return tuple(self._given.sampling_sizes)

    def calibration_data(self) -> CalibrationData:
        """See ``Host``.

        Raises:
            DataError: The data cannot be used.
        """
        return self._calibration_data

    def calibration_batches(self, sampling_size: int) -> Iterator[Mapping[str, Array]]:
        """Whole batches, by input name, until ``sampling_size`` inputs were given.

        Args:
            sampling_size: How many inputs calibrate; fewer come where the data ends before.

        Raises:
            DataError: A batch does not fit the model.
        """
        if self.loader is None:
            return
        names = [known.name for known in self._inputs()]
        count, empty = 0, EmptyBatches()
        for index, (inputs, _) in enumerate(self.loader):
            if isinstance(inputs, Mapping):
                yield inputs
            else:
                yield {names[0]: inputs}
            length = batch_length(inputs)
            empty.count(length, index)
            count += length
            if count >= sampling_size:
                return

    def baseline(self, fp32: Model) -> Baseline:
        """Evaluate FP32; the next time, what that gave.

        Raises:
            TrialError: The evaluation returned no finite number.
        """
        if self._fp32 is None:
            self._fp32 = self.evaluate(fp32)
        reference, own = self._given.fp32_accuracy, self._fp32.accuracy
        bound = self._given.criterion.bound(own if reference is None else reference)
        if reference is not None and bound.scalar(own) != bound.baseline_scalar:
            logger.info(
                "FP32 gives %s here, and the bound is taken from %s.", own, bound.baseline_scalar
            )
        return Baseline(bound, self._fp32.duration_seconds, own)

    def evaluate(self, model: Model) -> Evaluation:
        """Run the user's evaluation on a model; ``predictor`` opens it as the run times it."""
        users = self._users_model(model)
        begun = time.monotonic()
        with evaluating(users, lambda: self._backend.open(model)):
            accuracy = self._given.eval_fn(users)
        return Evaluation(accuracy, time.monotonic() - begun)

    def reason(self, error: BaseException) -> str:
        """See ``Host``: the error in one line, and what it was raised from."""
        return reason_with_causes(error)

    @cached_property
    def _calibration_data(self) -> CalibrationData:
        return read_calibration_data(self.loader, max(self.sampling_sizes()))


class HostOfGiven:
    """A host's calls that are answered by what it shares with the others; see ``Host``."""

    _shared: GivenHost

    @property
    def model_name(self) -> str:
        """See ``Host``."""
        return self._shared.model_name

    @property
    def criterion(self) -> str:
        """See ``Host``."""
        return self._shared.criterion

    def sampling_sizes(self) -> Sequence[int]:
        """See ``Host``."""
        return self._shared.sampling_sizes()

    def calibration_data(self) -> CalibrationData:
        """See ``Host``."""
        return self._shared.calibration_data()


def reason_with_causes(error: BaseException) -> str:
    """One line on an error, and on its causes where they say more."""
    told = [named(error)]
    seen = {id(error)}
    cause = _cause_of(error)
    while cause is not None and id(cause) not in seen and len(told) < _CAUSES:
        seen.add(id(cause))
        text = named(cause)
        said = text.partition(": ")[2] or text
        if not any(said in known for known in told):
            told.append(text)
        cause = _cause_of(cause)
    return told[0] if len(told) == 1 else f"{told[0]} (because of {'; '.join(told[1:])})"


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__
