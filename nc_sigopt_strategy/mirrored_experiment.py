"""An experiment that our engine runs and a SigOpt server records.

A SigOpt server cannot suggest here: it never models an experiment whose parameters are all
categorical, and builds their full Cartesian product, which at these sizes hangs it. So the
embedded engine proposes, and each suggestion is created on the server with the assignments given
(SigOpt's documentation calls that a custom optimizer). The local store is written first; when the
server does not answer, tuning goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ExperimentError
from .experiment import Definition, Experiment, Trial, list_experiments
from .outcome import TrialRecord
from .sigopt_client import SigOptException, failed_status_rate_limit

logger = logging.getLogger("nc_sigopt_strategy")

_SERVER = "server"
# A server that misses this many updates in a row is left alone for the rest of the run.
GIVE_UP_AFTER = 3


class MirroredExperiment(Experiment):
    """An ``Experiment`` of the embedded engine with a copy on a SigOpt server.

    Args:
        local: The experiment in the local store.
        remote: Its copy on the server.
    """

    def __init__(self, local: Experiment, remote: Experiment) -> None:
        super().__init__(local._connection, local._document)
        self.remote = remote
        self.shown_id = remote.id
        self._remote_suggestions: dict[str, str] = {}
        self._missed = 0
        self._missed_in_a_row = 0

    @property
    def missed_updates(self) -> int:
        return self._missed

    @classmethod
    def create_both(
        cls, local: Any, remote: Any, definition: Definition, server_url: str
    ) -> MirroredExperiment:
        """Create the experiment on the server, then in the local store.

        Args:
            local: Connection to the embedded engine.
            remote: Connection to the server.
            definition: What the experiment is made of.
            server_url: Kept in the local record, to find it again.
        """
        copy = Experiment.create(remote, definition)
        record = {**definition.record, _SERVER: {"url": server_url, "id": copy.id}}
        return cls(Experiment.create(local, definition.with_record(record)), copy)

    @classmethod
    def join_both(
        cls, local: Any, remote: Any, experiment_id: str, server_url: str
    ) -> MirroredExperiment:
        """Continue an experiment by its id on the server.

        Raises:
            ExperimentError: The server has none of that id, or the local store does not know it.
        """
        copy = Experiment.join(remote, experiment_id)
        wanted = {"url": server_url, "id": copy.id}
        for document in list_experiments(local):
            experiment = Experiment(local, document)
            if experiment.read_record().get(_SERVER) == wanted:
                return cls(experiment, copy)
        raise ExperimentError(
            f"Experiment {experiment_id} of {server_url} was not begun with this local store.",
            "Set storage to the one it was begun with, or leave sigopt_experiment_id out.",
        )

    def suggest(
        self, number: int, *, assignments: Mapping[str, str] | None = None, origin: str
    ) -> Trial:
        trial = super().suggest(number, assignments=assignments, origin=origin)
        self._tell_server(lambda: self._open_remotely(trial))
        return trial

    def observe(self, record: TrialRecord, fingerprint: str | None = None) -> None:
        super().observe(record, fingerprint)
        self._tell_server(lambda: self.remote.observe(self._remote_record(record), fingerprint))

    def fail(self, record: TrialRecord) -> None:
        super().fail(record)
        self._tell_server(lambda: self.remote.fail(self._remote_record(record)))

    def _open_remotely(self, trial: Trial) -> None:
        copy = self.remote.suggest(
            trial.number, assignments=trial.assignments, origin=trial.origin
        )
        self._remote_suggestions[trial.suggestion_id] = copy.suggestion_id

    def _remote_record(self, record: TrialRecord) -> TrialRecord:
        remote_id = self._remote_suggestions.get(record.suggestion_id or "")
        return record.with_suggestion(remote_id)

    def _tell_server(self, tell: Callable[[], None]) -> None:
        if self._missed_in_a_row >= GIVE_UP_AFTER:
            self._missed += 1
            return
        try:
            tell()
            self._missed_in_a_row = 0
        except SigOptException as error:
            # The client waits ever longer after failures; tuning must not wait with it.
            failed_status_rate_limit.clear()
            self._missed += 1
            self._missed_in_a_row += 1
            if self._missed == 1 or self._missed_in_a_row == GIVE_UP_AFTER:
                logger.warning(
                    "The SigOpt server missed an update (%s). Tuning goes on%s; everything is in "
                    "the local store.",
                    type(error).__name__,
                    " without it" if self._missed_in_a_row == GIVE_UP_AFTER else "",
                )
