"""What an evaluation says of single inputs: heard while it runs, so that it can end early.

The user's evaluation returns a ``PerInput`` in place of a number, or is a generator that yields
scores batch by batch. Either way wrappers around it, Neural Compressor among them, see a float.
Whoever wants the scores listens:

    with listening() as heard:
        accuracy = evaluation(model)
    heard.answer        # a PerInput, or None
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

from nc_sigopt_strategy.errors import TrialError

Scores = npt.NDArray[np.float64]
# Whether the scores of the first inputs, shape (N,), say enough.
Enough = Callable[[Scores], bool]


class PerInput(float):
    """An accuracy that knows what it is the mean of.

    Args:
        scores: One finite number (or truth value) for each input, of whatever shape; the same
            inputs in the same order for every model.

    Attributes:
        scores: As floats, shape (inputs,).

    Raises:
        TrialError: There are none, or they are no finite numbers.
    """

    scores: Scores

    def __new__(cls, scores: Any) -> PerInput:
        """The mean of the scores."""
        found = _as_scores(scores)
        if not len(found):
            raise TrialError("The evaluation returned scores of no inputs.")
        accuracy = super().__new__(cls, found.mean())
        accuracy.scores = found
        return accuracy

    def __getnewargs__(self) -> tuple[Any]:  # type: ignore[override]
        """What a copy is made from."""
        return (self.scores,)

    def __repr__(self) -> str:
        """The number, and of how many inputs it is."""
        return f"PerInput({float(self):.6g}, of {len(self.scores)} inputs)"


class Listening:
    """What one evaluation says, as it comes.

    Args:
        enough: Asked after each batch; once it says yes, an evaluation that yields is ended.

    Attributes:
        answer: All that was heard; ``None`` while nothing was.
        ended_early: Whether the evaluation was ended before its data did.
    """

    def __init__(self, enough: Enough | None = None) -> None:
        self._enough = enough
        self.answer: PerInput | None = None
        self.ended_early = False

    def hears(self, scores: Scores) -> bool:
        """Whether what was heard so far, shape (inputs,), is enough."""
        return self._enough is not None and len(scores) > 0 and self._enough(scores)


_listening: ContextVar[Listening | None] = ContextVar("nc_sigopt_listening", default=None)


@contextlib.contextmanager
def listening(enough: Enough | None = None) -> Iterator[Listening]:
    """Inside, the evaluations that ``heard`` has wrapped are listened to.

    Args:
        enough: See ``Listening``; ``None``: every evaluation goes to its end.
    """
    listener = Listening(enough)
    token = _listening.set(listener)
    try:
        yield listener
    finally:
        _listening.reset(token)


class HeardEvaluation:
    """A user's evaluation whose answer is a float, and is listened to.

    A callable object and not a function: Neural Compressor 3.7 reads the source of plain functions.

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
        answer = self.function(model)
        listener = _listening.get() or Listening()
        if isinstance(answer, Iterator):
            answer = _collected(answer, listener)
        if isinstance(answer, PerInput):
            listener.answer = answer
        return answer


def heard(function: Any) -> Any:
    """A user's evaluation as a ``HeardEvaluation``; what is none, or is one already, as it is."""
    if not callable(function) or isinstance(function, HeardEvaluation):
        return function
    return HeardEvaluation(function)


def _collected(batches: Iterator[Any], listener: Listening) -> PerInput:
    """All scores; those of the first batches once the listener has heard enough."""
    scores: Scores = np.zeros(0)
    try:
        for batch in batches:
            scores = np.concatenate([scores, _as_scores(batch)])
            if listener.hears(scores):
                listener.ended_early = True
                break
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()
    return PerInput(scores)


def _as_scores(found: Any) -> Scores:
    try:
        scores = np.asarray(found, np.float64).ravel()
    except (TypeError, ValueError):
        scores = np.array([np.nan])
    if not np.isfinite(scores).all():
        raise TrialError(
            f"The evaluation gave {found!r} as the scores of inputs, which are not finite numbers.",
            "Give one number for each input, such as whether it was answered right.",
        )
    return scores
