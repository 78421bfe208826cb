"""The seam between the tuning loop and whoever owns a model and turns choices into models.

The loop is the one consumer of this page: see ``loop.tune``. A new host is a class of this shape,
and ``nc_sigopt_strategy.testing.HostContract`` is what its tests inherit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from nc_sigopt_strategy.backends.backend import Backend
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.batches import CalibrationData
from nc_sigopt_strategy.measurement.paired import BesideFp32
from nc_sigopt_strategy.measurement.per_input import PerInput
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey

# A model as its host and its backend hand it to each other; nobody else looks inside.
Model = Any
Doing = Callable[[str], None]


@dataclass(frozen=True)
class Evaluation:
    """What evaluating a model gave.

    Attributes:
        accuracy: What the user's evaluation returned: a number, or one per metric; a ``PerInput``
            where it speaks of single inputs.
        duration_seconds: How long the evaluation took, by the host's own account.
        compile_seconds: How long it took before to make the model ready to run, where that is
            worth telling: a phase of its own.
    """

    accuracy: Any
    duration_seconds: float
    compile_seconds: float = 0.0


@dataclass(frozen=True)
class Baseline:
    """What the FP32 model gave, and what follows from it.

    Attributes:
        bound: What the accuracy has to reach.
        duration_seconds: As for ``Evaluation``.
        accuracy: As for ``Evaluation``.
    """

    bound: AccuracyBound
    duration_seconds: float
    accuracy: Any = None

    def beside(self) -> BesideFp32 | None:
        """What other models' evaluations are compared with; ``None`` without single inputs."""
        if not isinstance(self.accuracy, PerInput) or len(self.bound.baseline) > 1:
            return None
        return BesideFp32(self.accuracy.scores, self.bound)


class Host(Protocol):
    """Who owns the model.

    All calls come from one thread. What describes the model (``ops``, ``sampling_sizes``,
    ``op_graph``, ``calibration_data``, ``users_model``, ``recipe``) may be asked at any time and
    says the same each time. Models are made in one session: ``baseline`` once, before any trial;
    then ``quantize`` and ``evaluate`` in turn, any number of times. The same choices give the same
    model whenever they are asked for. A ``quantize`` or ``evaluate`` that raises leaves the host
    as usable as it was: that trial has failed, and the next one comes. A ``KeyboardInterrupt``
    passes through. A host keeps no model that it has handed out.
    """

    @property
    def backend(self) -> Backend:
        """Runs, fingerprints and saves the models."""
        ...

    @property
    def fp32(self) -> Model:
        """The FP32 model; what latency and noise are compared with."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What of the model was changed before it was tuned, in sentences for a reader."""
        ...

    @property
    def model_name(self) -> str:
        """What the user calls the model, for reports: of a file its name without the suffix."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the model as the user gave it, before anybody changed it in place."""
        ...

    @property
    def criterion(self) -> str:
        """The accuracy criterion in words.

        Two runs with the same words have the same bound if their baselines are equal.
        """
        ...

    def ops(self) -> Sequence[Op]:
        """The quantizable ops in graph order, from the input on.

        Raises:
            SigOptStrategyError: The model cannot be read.
        """
        ...

    def sampling_sizes(self) -> Sequence[int]:
        """How many inputs may calibrate, the usual number first; at least one number."""
        ...

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """Sizes of ops and who reads whom, for the sampler; as ``Backend.op_graph`` gives it."""
        ...

    def calibration_data(self) -> CalibrationData:
        """What latency and output noise are measured on; read once.

        Raises:
            DataError: The user's data cannot be used.
        """
        ...

    def users_model(self, model: Model) -> Any:
        """What the user's own functions get for a model."""
        ...

    def session(self, doing: Doing) -> AbstractContextManager[None]:
        """Inside, models are made: calibrated once for all trials, temporary files reclaimed.

        Args:
            doing: Told in a few words what takes long.
        """
        ...

    def check(self) -> None:
        """Run FP32 on one batch, before anything is spent.

        Raises:
            DataError: The data do not fit the model.
            ModelError: The model cannot be run, or what this host works on does not compute what
                the model computes that the user gave.
        """
        ...

    def baseline(self) -> Baseline:
        """Evaluate FP32.

        Raises:
            TrialError: The evaluation returned no finite number.
        """
        ...

    def quantize(self, choices: Choices) -> Model:
        """A model in which every op runs as chosen."""
        ...

    def evaluate(self, model: Model) -> Evaluation:
        """Run the user's evaluation on a model that ``quantize`` made."""
        ...

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """What rebuilds the model of choices without us, as JSON-safe data."""
        ...

    def calibration(self) -> Mapping[str, Any] | None:
        """How calibration was done so far, as JSON-safe data; ``None`` if there is none to do."""
        ...

    def reason(self, error: BaseException) -> str:
        """One line on why a call of this host failed, its deeper cause included."""
        ...
