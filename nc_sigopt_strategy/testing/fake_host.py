"""``FakeHost``: runs the whole loop in milliseconds, without a framework, with a known optimum."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nc_sigopt_strategy.errors import named
from nc_sigopt_strategy.measurement.accuracy import AccuracyBound
from nc_sigopt_strategy.measurement.batches import CalibrationData
from nc_sigopt_strategy.space.ops import Choices, Op, OpKey
from nc_sigopt_strategy.testing.fake_clock import FakeClock
from nc_sigopt_strategy.testing.fake_models import FakeBackend, FakeModel
from nc_sigopt_strategy.tuning.host import Baseline, Doing, Evaluation, Model

LABELS = ("int8", "bf16", "fp32")
_SAMPLING_SIZE = 100
_EVALUATION_SECONDS = 1.0
_QUANTIZATION_SECONDS = 0.5
_FP32_ACCURACY = 0.9


class FakeHost:
    """A ``Host`` of a chain of ops whose latencies and noises add up.

    An op costs more the more precise it runs, and adds noise the less precise it runs. Accuracy
    falls linearly with the noise. All that takes time lets the clock go on, and nothing else does.

    Args:
        ops: How many.
        seed: Of latencies and noises.
        tolerable_loss: Relative loss of accuracy that the bound allows.
        jitter: Relative standard deviation of a single timing.
        bursts: Share of timings that other work on the machine makes several times as long.
        faults: ``(method, call)`` to what that call of that method raises, counted from 1; the
            methods are ``session``, ``check``, ``baseline``, ``quantize``, ``evaluate`` and
            ``recipe``.

    Attributes:
        clock: Give it to the ``Budget``.
        calls: Method to how often it was called.
    """

    def __init__(
        self,
        *,
        ops: int = 4,
        seed: int = 0,
        tolerable_loss: float = 0.01,
        jitter: float = 0.0,
        bursts: float = 0.0,
        faults: Mapping[tuple[str, int], BaseException] | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.clock = FakeClock()
        self.calls: Counter[str] = Counter()
        self.backend = FakeBackend(self.clock, jitter, bursts)
        self.criterion = f"relative {tolerable_loss}"
        self._tolerable_loss = tolerable_loss
        self._faults = dict(faults or {})
        self._keys: list[OpKey] = [(f"net/op{position}", "conv2d") for position in range(ops)]
        fp32 = rng.uniform(1e-3, 4e-3, ops)
        # int8 takes a quarter to a half of fp32's time, bf16 half to nine tenths.
        self._latency = np.stack([fp32 * rng.uniform(0.25, 0.5, ops),
                                  fp32 * rng.uniform(0.5, 0.9, ops), fp32])  # fmt: skip
        int8 = rng.lognormal(np.log(0.02), 1.0, ops)
        self._noise = np.stack([int8, int8 * 0.01, np.zeros(ops)])
        self.fp32 = self._model(("fp32",) * ops, _SAMPLING_SIZE)
        self.notes: tuple[str, ...] = ()
        self.model_name = "fake"
        self.fingerprint = self.backend.fingerprint(self.fp32)

    def ops(self) -> Sequence[Op]:
        """See ``Host``."""
        return [Op(key, LABELS, LABELS[0]) for key in self._keys]

    def sampling_sizes(self) -> Sequence[int]:
        """See ``Host``."""
        return (_SAMPLING_SIZE,)

    def op_graph(self, ops: Sequence[OpKey]) -> dict[str, Any]:
        """See ``Host``."""
        return self.backend.op_graph(self.fp32, ops)

    def calibration_data(self) -> CalibrationData:
        """See ``Host``; one batch, which no model looks at."""
        return CalibrationData([np.zeros((8, 1), np.float32)], "fake")

    def users_model(self, model: Model) -> Model:
        """See ``Host``; the ``FakeModel`` itself."""
        return model

    @contextlib.contextmanager
    def session(self, doing: Doing) -> Iterator[None]:
        """See ``Host``."""
        self._called("session")
        doing("calibrating")
        yield

    def check(self) -> None:
        """See ``Host``."""
        self._called("check")

    def baseline(self) -> Baseline:
        """See ``Host``."""
        self._called("baseline")
        self.clock.advance(_EVALUATION_SECONDS)
        return Baseline(self.bound, _EVALUATION_SECONDS)

    @property
    def bound(self) -> AccuracyBound:
        """What the accuracy has to reach."""
        return AccuracyBound.of(
            _FP32_ACCURACY,
            relative=True,
            tolerable_loss=self._tolerable_loss,
            higher_is_better=True,
        )

    def quantize(self, choices: Choices) -> FakeModel:
        """See ``Host``."""
        self._called("quantize")
        self.clock.advance(_QUANTIZATION_SECONDS)
        return self._model(tuple(choices.labels[key] for key in self._keys), choices.sampling_size)

    def evaluate(self, model: FakeModel) -> Evaluation:
        """See ``Host``."""
        self._called("evaluate")
        self.clock.advance(_EVALUATION_SECONDS)
        return Evaluation(self.accuracy(model), _EVALUATION_SECONDS)

    def recipe(self, choices: Choices) -> Mapping[str, Any]:
        """See ``Host``."""
        self._called("recipe")
        return {key[0]: label for key, label in choices.labels.items()}

    def calibration(self) -> Mapping[str, Any] | None:
        """See ``Host``."""
        return None

    def reason(self, error: BaseException) -> str:
        """See ``Host``."""
        return named(error)

    def fail_next(self, method: str, error: BaseException) -> None:
        """Let the next call of a method raise.

        Args:
            method: One of those that ``faults`` may name.
            error: What it raises.
        """
        self._faults[method, self.calls[method] + 1] = error

    def accuracy(self, model: FakeModel) -> float:
        """What ``evaluate`` says of a model."""
        return _FP32_ACCURACY * (1.0 - 0.2 * model.noise)

    def optimum(self) -> FakeModel:
        """The fastest of all models that meet the bound, found by trying them all."""
        combinations = itertools.product(LABELS, repeat=len(self._keys))
        models = (self._model(labels, _SAMPLING_SIZE) for labels in combinations)
        feasible = (model for model in models if self.bound.met(self.accuracy(model)))
        return min(feasible, key=lambda model: model.latency_seconds)

    def _model(self, labels: Sequence[str], sampling_size: int) -> FakeModel:
        rows, columns = [LABELS.index(label) for label in labels], range(len(labels))
        return FakeModel(
            tuple(zip(self._keys, labels, strict=True)),
            float(self._latency[rows, columns].sum()),
            float(self._noise[rows, columns].sum()),
            sampling_size,
            tuple(self._latency[rows, columns].tolist()),
        )

    def _called(self, method: str) -> None:
        self.calls[method] += 1
        fault = self._faults.get((method, self.calls[method]))
        if fault is not None:
            raise fault
