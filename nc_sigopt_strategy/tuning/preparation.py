"""Before a run: what is tuned, and where the work on it is recorded.

All that can be wrong with settings, server, store or the experiment to continue comes out here,
before anything is spent.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nc_sigopt_strategy.errors import ModelError, shown
from nc_sigopt_strategy.experiments.experiment import Experiment
from nc_sigopt_strategy.experiments.identity import Identity, Measuring
from nc_sigopt_strategy.measurement.stored_metrics import StoredMetrics
from nc_sigopt_strategy.results.run_facts import refuse_if_running
from nc_sigopt_strategy.settings.choices import ACTIVATION_TYPES, FINISHED, FITTED
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.search_space import SearchSpace, SpaceRequest, build_search_space
from nc_sigopt_strategy.tuning.host import Host
from nc_sigopt_strategy.tuning.run_folder import refuse_unusable
from nc_sigopt_strategy.tuning.workplace import Workplace


@dataclass(frozen=True)
class Preparation:
    """What a run starts from; made by ``prepare``.

    Attributes:
        host: Owns the model.
        settings: What the user chose.
        folder: Run folder.
        seed: Of sampler and measurement order.
        stored_metrics: The user's further metrics.
        workplace: Connections, worker and machine.
        experiment: The one that is continued; ``None`` to begin one.
    """

    host: Host
    settings: Settings
    folder: Path
    seed: int
    stored_metrics: StoredMetrics
    workplace: Workplace
    experiment: Experiment | None = None

    @cached_property
    def space(self) -> SearchSpace:
        """The search space.

        Raises:
            SettingsError: The settings lock or exclude what is not there.
        """
        return search_space(self.host, self.settings)


def prepare(host: Host, settings: Settings, *, folder: Path, seed: int) -> Preparation:
    """Connect to store and server, and join the experiment if one is to be continued.

    Args:
        host: Owns the model.
        settings: What the user chose.
        folder: Run folder; a relative one is meant from here, wherever the user's own functions
            go to later.
        seed: Of sampler and measurement order.

    Raises:
        SettingsError: Settings contradict each other or the model, the folder cannot be one, or
            another run is going on in it.
        StoreError: The local store cannot be used.
        ServerError: The server cannot be reached, refuses the token or answers nonsense.
        ExperimentError: There is no experiment of that id, or it was begun with something else.
        DataError: The user's data cannot be used.
    """
    folder = folder.absolute()
    refuse_unusable(folder)
    refuse_if_running(folder)
    metrics = StoredMetrics(settings.stored_metrics_func, lambda: host.users_model(host.fp32))
    workplace = Workplace(settings, folder, seed)
    prepared = Preparation(host, settings, folder, seed, metrics, workplace)
    if settings.sigopt_experiment_id is None:
        return prepared
    experiment = workplace.join(identity_of(prepared).fingerprints())
    return dataclasses.replace(prepared, experiment=experiment)


def search_space(host: Host, settings: Settings) -> SearchSpace:
    """The search space of a host's model under a user's settings.

    Raises:
        SettingsError: They lock or exclude what is not there.
        ModelError: An op has a name that no store keeps.
    """
    ops = host.ops()
    named = next((name for op in ops for name in op.names if "\0" in name), None)
    if named is not None:
        raise ModelError(
            f"The name of an op holds a NUL character: {shown(named)}.",
            "No store keeps it; give the op another name.",
        )
    request = SpaceRequest(
        settings.search_space,
        settings.locked_ops,
        settings.excluded_ops,
        settings.max_parameters,
    )
    return build_search_space(ops, host.sampling_sizes(), request)


def identity_of(prepared: Preparation) -> Identity:
    """What must be the same for the experiment to be continued."""
    host, settings = prepared.host, prepared.settings
    return Identity(
        model_fingerprint=host.fingerprint,
        measuring=Measuring(
            host.calibration_data().batches,
            settings.latency_batch_size,
            "latency_func" if settings.latency_func else "timed",
            settings.onnxruntime_session_options,
            settings.openvino_properties,
        ),
        search_space=prepared.space.describe(),
        criterion=host.criterion,
        stored_metrics=prepared.stored_metrics.names,
        goal=settings.goal,
        made_with=_made_with(host, settings),
    )


def _made_with(host: Host, settings: Settings) -> dict[str, str]:
    """Stores of before there were these settings hold nothing of them."""
    found = {}
    if settings.activation_type != ACTIVATION_TYPES[0]:
        found["activation_type"] = settings.activation_type
    if host.backend.name == "tensorflow":
        if settings.finishing == FINISHED:
            found["finishing"] = settings.finishing
        # The others give the same models, up to digits that are lost in print.
        if settings.calibration == FITTED:
            found["calibration"] = settings.calibration
    return found
