"""The sigopt strategy's settings in a job: what the run gives to it, and what is checked first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import ConfigFileError
from nc_sigopt_strategy.settings.settings import Settings

STORE_FILE = "experiments.sqlite3"
# What the run folder and the terminal decide.
OWN_KEYS = ("output_dir", "progress")


def own_kwargs(folder: Path, progress: bool | None) -> dict[str, Any]:
    """``strategy_kwargs`` that a run in a folder has unless told otherwise."""
    return {
        "storage": f"sqlite:///{folder.resolve() / STORE_FILE}",
        "output_dir": str(folder),
        "progress": progress,
    }


def merged_kwargs(
    strategy_kwargs: Mapping[str, Any], further: Mapping[str, Any]
) -> dict[str, Any]:
    """``strategy_kwargs`` with others that take precedence, checked together.

    Raises:
        ConfigFileError: An experiment of no store is to be joined.
        SettingsError: A value cannot be used.
    """
    # With the engine comes Optuna, which is slow to import.
    from nc_sigopt_strategy.client.connections import names_no_store

    kwargs = {**strategy_kwargs, **further}
    settings = Settings.from_kwargs(kwargs)
    if names_no_store(settings):
        raise ConfigFileError(
            f"Experiment {settings.sigopt_experiment_id} is to be joined, but no store is named.",
            "Add --storage URL, or storage or sigopt_api_token to strategy_kwargs.",
        )
    return kwargs


def check_connection(strategy_kwargs: Mapping[str, Any]) -> None:
    """Reach the server and find the experiment that is to be used, where any is named.

    Raises:
        SettingsError: A value cannot be used.
        ServerError: The server cannot be reached or refuses the token.
        StoreError: The store cannot be used.
        ExperimentError: There is no such experiment.
    """
    from nc_sigopt_strategy.client.connections import open_connections
    from nc_sigopt_strategy.experiments.opening import join_on

    settings = Settings.from_kwargs(strategy_kwargs)
    # A run without a storage makes a new one, in its folder.
    settings = dataclasses.replace(settings, storage=settings.storage or "sqlite:///:memory:")
    connections = open_connections(settings, seed=0)
    try:
        if settings.sigopt_experiment_id is not None:
            kept_in = connections.remote or connections.local
            join_on(kept_in, settings.sigopt_experiment_id)
    finally:
        connections.local.impl.driver.close()
