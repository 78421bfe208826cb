"""What an evaluation says of single inputs: heard while it runs, so that it can end early.

The user's evaluation returns a ``PerInput`` in place of a number, or is a generator that yields
scores batch by batch. Either way wrappers around it, Neural Compressor among them, see a float.
Who knows when the first scores say enough listens:

    with listening(rule):
        accuracy = evaluation(model)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import TrialError, shown
from nc_sigopt_strategy.measurement.copies import copies_end

Scores = npt.NDArray[np.float64]


class Rule(Protocol):
    """Says when an evaluation may end before its data does."""

    def is_enough(self, scores: Scores) -> bool:
        """Whether the scores of the first inputs, shape (n,), at least one, say enough."""
        ...

    def expected_accuracy(self, scores: Scores) -> float:
        """What the accuracy on all inputs is expected to be by those of the first, shape (n,)."""
        ...


class PerInput(float):
    """An accuracy that knows what it is the mean of.

    Args:
        scores: One finite number (or truth value) for each input, of whatever shape; the same
            inputs in the same order for every model.
        accuracy: Their mean, unless the inputs are only the first ones and something else is
            expected of all.

    Attributes:
        scores: As floats, shape (inputs,).

    Raises:
        TrialError: There are none, or they are no finite numbers.
    """

    scores: Scores

    def __new__(cls, scores: Any, accuracy: float | None = None) -> PerInput:
        """The accuracy, with the scores behind it."""
        found = _as_scores(scores)
        if not len(found):
            raise TrialError("The evaluation returned scores of no inputs.")
        value = super().__new__(cls, found.mean() if accuracy is None else accuracy)
        value.scores = found
        return value

    def __getnewargs__(self) -> tuple[Any, float]:  # type: ignore[override]
        """What a copy is made from."""
        return (self.scores, float(self))

    def __repr__(self) -> str:
        """The number, and of how many inputs it is."""
        return f"PerInput({float(self):.6g}, of {len(self.scores)} inputs)"


_listening: ContextVar[Rule | None] = ContextVar("nc_sigopt_listening", default=None)


@contextlib.contextmanager
def listening(rule: Rule | None) -> Iterator[None]:
    """Inside, an evaluation that ``heard`` has wrapped and that yields ends when a rule says so.

    Args:
        rule: ``None``: it goes to its end.
    """
    token = _listening.set(rule)
    try:
        yield
    finally:
        _listening.reset(token)


def listener() -> Rule | None:
    """The rule of whoever listens; ``None`` where nobody does, or to the end."""
    return _listening.get()


class HeardEvaluation:
    """A user's evaluation whose answer is a float, and is listened to.

    A callable object and no function: Neural Compressor 3.7 reads the source of plain functions.

    Args:
        function: Gets a model; returns its accuracy, a ``PerInput``, or is a generator that yields
            scores.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, model: Any) -> Any:
        """The accuracy; a ``PerInput`` where the function speaks of single inputs.

        Raises:
            TrialError: What it yields cannot be scores.
        """
        with copies_end("the evaluation"):
            answer = self.function(model)
            return _collected(answer, listener()) if isinstance(answer, Iterator) else answer


def heard(function: Any) -> Any:
    """A user's evaluation as a ``HeardEvaluation``; what is none, or is one already, as it is."""
    if not callable(function) or isinstance(function, HeardEvaluation):
        return function
    return HeardEvaluation(function)


def _collected(batches: Iterator[Any], rule: Rule | None) -> PerInput:
    """All scores; those of the first batches once they say enough."""
    scores: Scores = np.zeros(0)
    try:
        for batch in batches:
            scores = np.concatenate([scores, _as_scores(batch)])
            if rule is not None and len(scores) and rule.is_enough(scores):
                return PerInput(scores, rule.expected_accuracy(scores))
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
    return PerInput(scores)


def _as_scores(found: Any) -> Scores:
    try:
        scores = np.asarray(found, np.float64).ravel()
    except Exception:  # each class has its own way to be no number
        scores = np.array([np.nan])
    if not np.isfinite(scores).all():
        raise TrialError(
            f"The evaluation gave {shown(found)} as scores of inputs, which are no finite "
            "numbers.",
            "Give one number for each input, such as whether it was answered right.",
        )
    return scores
