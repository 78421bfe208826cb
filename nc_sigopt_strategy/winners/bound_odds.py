"""Which models may win: those that keep the bound on other data, and not by the luck of theirs.

An accuracy is a sample. Of many models that truly miss the bound by a little some meet it on the
images at hand, and these are the fastest, so the fastest that met it is often one of them (the
winner's curse; Thaler, "Anomalies: The Winner's Curse", 1988).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.choices import EVEN_ODDS

# What counts as settled, either way, and that share's quantile of the normal distribution.
SETTLED, _QUANTILE = 0.95, 1.645
# More data than this many times as much nobody has.
MOST_DATA = 100.0


@dataclass(frozen=True)
class BoundOdds:
    """What is known of one model's accuracy on all data of the kind that it was evaluated on.

    Attributes:
        probability: That it keeps the bound there.
        spare: What it is expected to have above the bound there, in the metric's units.
        luck: Standard deviation of what the choice of the data adds to one evaluation.
    """

    probability: float
    spare: float
    luck: float

    @property
    def data_to_settle(self) -> float | None:
        """How many times as much data would settle it, above 1 and at most ``MOST_DATA``.

        ``None`` where it is settled. The error of an accuracy falls with the root of the number
        of inputs, so this is what makes it small beside the spare.
        """
        if not 1.0 - SETTLED < self.probability < SETTLED:
            return None
        small = abs(self.spare) * MOST_DATA**0.5 <= _QUANTILE * self.luck
        times = MOST_DATA if small else (_QUANTILE * self.luck / self.spare) ** 2
        return max(2.0, min(times, MOST_DATA))


# Of the trials of which something is known, by number.
Odds = Mapping[int, BoundOdds]


def may_win(trials: Sequence[TrialRecord], odds: Odds, confidence: float) -> list[TrialRecord]:
    """The trials that met the bound and keep it elsewhere with the probability that is asked for.

    At ``EVEN_ODDS`` and below nobody is sent away without a model: where none of those that met
    the bound is so probable, the most probable one may win, and where nothing can be said of
    them, all may. Above, what is not known to be so probable may not.

    Args:
        trials: All trials.
        odds: What is known of trials.
        confidence: The probability that is asked for, above 0 and below 1.

    Returns:
        One of each graph, in the order of the trials.
    """
    met = [trial for trial in trials if trial.meets_bound and trial.duplicate_of is None]
    known = {number: one.probability for number, one in odds.items()}
    lenient = confidence <= EVEN_ODDS
    sure = [t for t in met if known.get(t.number, 1.0 if lenient else 0.0) >= confidence]
    if sure or not met or not lenient:
        return sure
    return [max(met, key=lambda trial: known[trial.number])]
