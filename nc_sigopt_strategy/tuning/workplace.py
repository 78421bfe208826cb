"""Where a worker works: its name, its connections, its machine, its experiment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from nc_sigopt_strategy.client.connections import open_connections
from nc_sigopt_strategy.experiments.definition import Definition
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.identity import refuse_changes
from nc_sigopt_strategy.experiments.lease import Worker
from nc_sigopt_strategy.experiments.opening import (
    create_experiment,
    join_experiment,
    twin_at_work,
)
from nc_sigopt_strategy.settings.choices import SERVER
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.machine_lock import MachineLock

logger = logging.getLogger("nc_sigopt_strategy")


class Workplace:
    """What a run needs of the world to work on an experiment, alone or beside others.

    Args:
        settings: Of the run.
        output_dir: Run folder; names the worker where the settings do not.
        seed: The sampler's seed.

    Attributes:
        connections: To the local store, and to a server if there is a token.
        worker: Who this is; renamed where another process is at work under its name.
        machine: Keeps the workers of this machine apart.

    Raises:
        StoreError: The local store cannot be used.
        SettingsError: The settings contradict each other.
        ServerError: The server cannot be reached, refuses the token or answers nonsense.
    """

    def __init__(self, settings: Settings, output_dir: Path, seed: int) -> None:
        self._settings = settings
        self.connections = open_connections(settings, seed=seed)
        self.worker = (
            Worker.of_folder(output_dir, settings.lease_seconds)
            if settings.worker is None
            else Worker(settings.worker, settings.lease_seconds)
        )
        self.machine = self._machine(shared=settings.parallel_bandwidth > 1)

    def join(self, identity: Mapping[str, str]) -> Experiment | None:
        """The experiment that the settings name, if they name one.

        Args:
            identity: What must be the same as when it was begun.

        Raises:
            ExperimentError: There is none of that id, or it was begun with something else.
            ServerError: The server is asked to suggest and could not.
        """
        known = self._settings.sigopt_experiment_id
        if known is None:
            return None
        twin = twin_at_work(self.connections, known, self.worker)
        if twin is not None:
            logger.warning(
                "Another process works on experiment %s under the name %s, on %s; this one is "
                "called %s. Give each worker a name and a run folder of its own.",
                known,
                self.worker.name,
                twin.machine,
                self.worker.renamed().name,
            )
            self.worker = self.worker.renamed()
        experiment = join_experiment(
            self.connections, known, self.worker, server_suggests=self._server_suggests
        )
        refuse_changes(experiment, identity)
        workers = self._settings.parallel_bandwidth
        experiment.share_among(workers if twin is None else max(2, workers))
        self.machine = self._machine(shared=experiment.is_shared)
        return experiment

    def create(self, definition: Definition) -> Experiment:
        """A new experiment.

        Raises:
            ExperimentError: The server refuses it.
            ServerError: The server is asked to suggest and could not.
        """
        return create_experiment(
            self.connections, definition, self.worker, server_suggests=self._server_suggests
        )

    @property
    def _server_suggests(self) -> bool:
        return self._settings.suggestions == SERVER

    def _machine(self, *, shared: bool) -> MachineLock:
        wanted = self._settings.one_trial_per_machine
        return MachineLock(
            shared if wanted is None else wanted,
            name=self.worker.name,
            lease_seconds=self._settings.lease_seconds,
        )
