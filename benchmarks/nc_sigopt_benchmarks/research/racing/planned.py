"""Competitors that follow a plan: a generator of configurations that is told what each gave."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from nc_sigopt_benchmarks.research.landscapes.landscape import Choices
from nc_sigopt_benchmarks.research.racing.trial import Trial, choice_key

Plan = Generator[Choices, Trial, None]


class Planned:
    """Runs a plan. What it asks for again, or was tried before it began, costs no trial.

    Args:
        plan: Yields value positions of shape (parameters,) and is sent their trial.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[bytes, Trial] = {}
        self._seen = 0
        self._wanted: Choices | None = None
        self._begun = self._ended = False

    def suggest(self, history: Sequence[Trial]) -> Choices | None:
        """The plan's next configuration that was not tried; ``None`` at its end."""
        for trial in history[self._seen :]:
            self._known[trial.key] = trial
        self._seen = len(history)
        if not self._begun:
            self._begun = True
            self._advance(None)
        while not self._ended and self._wanted is not None:
            known = self._known.get(choice_key(self._wanted))
            if known is None:
                return self._wanted.copy()
            self._advance(known)
        return None

    def _advance(self, trial: Trial | None) -> None:
        try:
            # A generator that has not begun takes nothing but None.
            self._wanted = next(self._plan) if trial is None else self._plan.send(trial)
        except StopIteration:
            self._ended = True
