"""Why the winner is as it is, for the outcome; a run does without it where it cannot be said."""

from __future__ import annotations

import logging

from nc_sigopt_strategy.results.outcome import OpContribution
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.tuning.run import TuningRun

logger = logging.getLogger("nc_sigopt_strategy")


def contributions_to(winner: TrialRecord | None, run: TuningRun) -> tuple[OpContribution, ...]:
    """What each op's type in the winner saves and costs; none without a winner or on a failure."""
    if winner is None:
        return ()
    try:
        from nc_sigopt_strategy.winners.contributions import op_contributions

        return op_contributions(
            run.history.records,
            run.space.parameters,
            run.experiment.read_record().op_graph,
            winner,
            run.bound,
        )
    except (Exception, KeyboardInterrupt) as error:
        logger.warning("What each op of the winner contributes could not be estimated: %s", error)
        logger.debug("Where that failed", exc_info=True)
        return ()
