"""What the failed trials of a run have in common."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from nc_sigopt_strategy.tuning.users_code import Place, place_in_users_code

logger = logging.getLogger("nc_sigopt_strategy")

# A function that fails for every model fails for the next one, too.
EQUAL_FAILURES = 3
# How the failure of a repeat begins; see ``OneTrial.repeat``.
REPEATED_FAILURE = "The same configuration failed"
# Numbers and addresses differ from one failure to the next for the same reason.
_VARIES = re.compile(r"0x[0-9a-f]+|\d+")


class Failures:
    """The failures that come one after the other, as long as none of them is another one's.

    Attributes:
        stop_reason: Why no further trial is worth its time; ``None`` while there may be one.
        crash: The way through the user's code to what ended the run, where that was it.
    """

    def __init__(self) -> None:
        self.stop_reason: str | None = None
        self.crash: str | None = None
        self._last: Place | None = None
        self._count = 0

    def worked(self) -> None:
        """A trial was measured."""
        self._last, self._count = None, 0

    def explained(self, error: BaseException, reason: str) -> str:
        """Take note of a failure.

        Args:
            error: What a trial failed with.
            reason: Why, as the host says.

        Returns:
            The reason, with the place in the user's code where it is one of those.
        """
        place = place_in_users_code(error)
        if place is None:
            self.worked()
            return reason
        if not place.is_same(self._last):
            show_users_code(error)
            self._count = 0
        self._last = place
        self._count += 1
        reason = with_place(reason, error)
        if self._count >= EQUAL_FAILURES:
            self.stop_reason = (
                f"Your own code failed {self._count} times in a row in the same line: {reason}"
            )
            self.crash = place.lines.rstrip()
        return reason


def with_place(reason: str, error: BaseException) -> str:
    """A reason with the line of the user's code in which it came up, if it is one of those."""
    place = place_in_users_code(error)
    return reason if place is None else f"{reason} ({place})"


def way_through_users_code(error: BaseException) -> str | None:
    """The traceback of an error from the first line of the user's code on, if it is of that."""
    place = place_in_users_code(error)
    return None if place is None else place.lines.rstrip()


def show_users_code(error: BaseException) -> None:
    """Log the way through the user's code to an error, if it came up there."""
    way = way_through_users_code(error)
    if way is not None:
        logger.error("Your own code failed:\n%s", way)


def shared_by_all(records: Sequence[TrialRecord]) -> str | None:
    """The one reason for which all trials failed, in words; ``None`` if some did not.

    Args:
        records: All trials of a run.
    """
    counted = [record for record in records if not record.interrupted]
    if not counted or any(record.state is not TrialState.FAILED for record in counted):
        return None
    # A repeat of a trial says that it is one, not why the first failed.
    reasons = [
        record.failure or ""
        for record in counted
        if not (record.failure or "").startswith(REPEATED_FAILURE)
    ]
    if not reasons or len({_VARIES.sub("#", reason) for reason in reasons}) > 1:
        return None
    how_many = "The only trial" if len(counted) == 1 else f"All {len(counted)} trials"
    return f"{how_many} failed for one reason: {reasons[0]}"
